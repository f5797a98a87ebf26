"""The forward-forward algorithm, supervised (Hinton 2022, arXiv 2212.13345, sections 2 and 3.3).

Two forward passes replace a forward and a backward one. Image and label go in together: with the right label they are
positive data, with a wrong one negative. Every layer learns alone to tell them apart by its goodness, its squared
activities, with

p(positive) = sigma(sharpness (mean_j h_j^2 - theta))      (equation 1, with a mean in place of its sum)

and the logistic loss on that. Activities are normalised before the next layer sees them, which removes the goodness of
the layer before (section 2.1). The predicted class is the label with the greatest goodness, summed over all layers but
the first (section 3.3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.errors import MethodError
from methods.core.method import TaskShape
from methods.core.options import Positive, Range
from methods.core.registry import register
from methods.networks.layers import Dropout
from methods.networks.layerwise import LocalLosses, NetworkOptions, cut, normalised

_LABELS_AT_ONCE = 2
"""Labels tried on a batch in one pass of prediction: so prediction needs no more memory than a training step."""
_EPSILON = 1e-8


@dataclass(frozen=True)
class ForwardForwardOptions(NetworkOptions):
    """Options of the forward-forward algorithm."""

    theta: Positive = 0.4
    """The threshold on goodness."""
    sharpness: Positive = 512.0
    """Factor of goodness above the threshold in the logistic function. The paper's sum over units is a mean times their
    number, which is from 128 to 8,192 here and would make the function a step in the larger layers."""
    negatives: Literal["uniform", "hard", "neutral"] = "uniform"
    """How the wrong label of an image is drawn. uniform: all equally likely; hard: in proportion to the probability
    that the network gives it, at the price of a prediction per step; neutral: in proportion to the probability that a
    linear classifier of all layers' activities but the first's gives it, learned from one pass with a neutral label, as
    in the paper's section 3.3. It serves nothing else."""


@register("forward-forward")
class ForwardForward(LocalLosses):
    """The forward-forward algorithm on `backprop-plain`'s layers. See the module's docstring.

    The same convolutions, pooling and linear layer as `backprop-plain`. What differs: the label comes in as further
    image planes, one per class, of ones for the given label and zeros for the others, since a convolution sees a label
    only if it is spread over the whole image (cf. Scodellaro et al. 2023, arXiv 2312.14924); no batch norm and no
    dropout, which would act on the goodness itself; layer normalisation between layers (the paper's does not subtract
    the mean, but learning is faster with it); no head. The paper's networks are fully or locally connected. Its
    author's code always uses hard negatives (here `negatives=hard` or `neutral`) and a term that keeps units' mean
    activities alike (not here).

    With `network=mlp`, the paper's fully connected layers: the label takes the place of the image's first pixels, one
    per class, from the image's darkest value to its brightest.
    """

    summary = "forward-forward: every layer of one image path learns alone to tell right labels in its input from wrong"
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, in turn, with right and wrong labels"
    )
    credit = "gradients inside a layer"
    mlp = "forward-forward"
    Options = ForwardForwardOptions
    search_space: ClassVar[Mapping[str, Range]] = {
        "theta": Range(0.1, 2.0, log=True),
        "sharpness": Range(32.0, 2048.0, log=True),
    }
    options: ForwardForwardOptions

    def __init__(self, shape: TaskShape, options: ForwardForwardOptions) -> None:
        super().__init__(shape, options)
        pixels, classes = shape.channels * shape.height * shape.width, shape.num_classes
        if options.is_mlp and pixels < classes:
            raise MethodError(f"images of {pixels} pixels are too small for a label of {classes} of them")
        given = shape if options.is_mlp else replace(shape, channels=shape.channels + classes)
        self.image_path = self.build_path(given, options, batch_norm=False)
        for module in self.image_path.modules():
            if isinstance(module, Dropout):
                module.p = 0.0
        if options.negatives == "neutral":
            self.classifier = nn.Linear(sum(prod(hidden) for hidden in self.hidden_shapes[1:]), classes)

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """For each layer the loss on positive data, then that on negative data, so that one is held at a time.

        With `negatives=neutral`, the classifier's cross-entropy comes first.
        """
        likely: Tensor | None = None
        if self.options.negatives == "neutral":
            likely = self.classifier(self._neutral_activities(x))
            yield F.cross_entropy(likely, y)
        right, wrong = self.with_label(x, y), self.with_label(x, self._wrong_labels(x, y, likely))
        for layer in cut(self.image_path):
            right = layer(right)
            yield F.softplus(-self._evidence(right)).mean()
            right = normalised(right.detach())
            wrong = layer(wrong)
            yield F.softplus(self._evidence(wrong)).mean()
            wrong = normalised(wrong.detach())

    def with_label(self, x: Tensor, y: Tensor) -> Tensor:
        """Images with labels, (batch,), in them: see `with_soft_label`."""
        return self.with_soft_label(x, F.one_hot(y, self.shape.num_classes))

    def with_soft_label(self, x: Tensor, label: Tensor) -> Tensor:
        """Images with a number for each class in them, from 0 to 1, (batch, num_classes).

        For convolutions as further planes, (batch, channels + num_classes, height, width); for the fully connected
        network in the place of the first pixels, from the image's darkest value to its brightest.
        """
        label = label.to(x.dtype)
        if not self.options.is_mlp:
            planes = label[:, :, None, None].expand(-1, -1, *x.shape[2:])
            return torch.cat([x, planes], dim=1).contiguous(memory_format=torch.channels_last)
        pixels = x.flatten(start_dim=1)
        low, high = pixels.amin(dim=1, keepdim=True), pixels.amax(dim=1, keepdim=True)
        return torch.cat([low + label * (high - low), pixels[:, label.shape[1] :]], dim=1)

    def _evidence(self, h: Tensor) -> Tensor:
        """Log-odds of positive data from a layer's output, (batch,)."""
        return self.options.sharpness * (goodness(h) - self.options.theta)

    def _wrong_labels(self, x: Tensor, y: Tensor, likely: Tensor | None = None) -> Tensor:
        """A label for each image that is not its own, (batch,), drawn from PyTorch's generator.

        With `negatives=neutral`, `likely` has the classifier's logits, (batch, num_classes).
        """
        if self.options.negatives == "hard":
            likely = self._evidence_by_label(x)
        if likely is None:
            weights = torch.ones(len(y), self.shape.num_classes, device=y.device)
        else:
            weights = likely.detach().softmax(dim=1) + _EPSILON
        return weights.scatter(1, y[:, None], 0.0).multinomial(1).squeeze(1)

    @torch.no_grad()
    def _neutral_activities(self, x: Tensor) -> Tensor:
        """Normalised activities of all layers but the first with all labels alike, (batch, sum of their sizes)."""
        classes = self.shape.num_classes
        h = self.with_soft_label(x, torch.full((len(x), classes), 1 / classes, device=x.device))
        found = []
        for layer in cut(self.image_path):
            h = normalised(layer(h))
            found.append(h.flatten(start_dim=1))
        return torch.cat(found[1:], dim=1)

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The evidence for each label; not random."""
        return self._evidence_by_label(x)

    @torch.no_grad()
    def _evidence_by_label(self, x: Tensor) -> Tensor:
        """Summed over all layers but the first, (batch, num_classes)."""
        labels = torch.arange(self.shape.num_classes, device=x.device)
        columns: list[Tensor] = []
        for some in torch.split(labels, _LABELS_AT_ONCE):
            h = self.with_label(x.repeat(len(some), 1, 1, 1), some.repeat_interleave(len(x)))
            total = torch.zeros(len(h), device=x.device)
            for number, layer in enumerate(cut(self.image_path)):
                h = layer(h)
                if number > 0:
                    total += self._evidence(h)
                h = normalised(h)
            columns += torch.split(total, len(x))
        return torch.stack(columns, dim=1)


def goodness(h: Tensor) -> Tensor:
    """Mean of squared activities, (batch,), at single precision or better."""
    activities = h.flatten(start_dim=1)
    return activities.to(torch.promote_types(h.dtype, torch.float32)).square().mean(dim=1)
