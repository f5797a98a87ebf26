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
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from methods.core.method import TaskShape
from methods.core.options import Positive, Range
from methods.core.registry import register
from methods.networks.backbone import ImagePath
from methods.networks.layers import Dropout
from methods.networks.layerwise import CNNOptions, LocalLosses, cut, normalised

_LABELS_AT_ONCE = 2
"""Labels tried on a batch in one pass of prediction: so prediction needs no more memory than a training step."""
_EPSILON = 1e-8


@dataclass(frozen=True)
class ForwardForwardOptions(CNNOptions):
    """Options of the forward-forward algorithm."""

    theta: Positive = 0.4
    """The threshold on goodness."""
    sharpness: Positive = 512.0
    """Factor of goodness above the threshold in the logistic function. The paper's sum over units is a mean times their
    number, which is from 128 to 8,192 here and would make the function a step in the larger layers."""
    negatives: Literal["uniform", "hard"] = "uniform"
    """How the wrong label of an image is drawn. uniform: all equally likely; hard: in proportion to the probability
    that the network gives it, at the price of a prediction per step (the paper's section 3.3 uses one pass with a
    neutral label instead)."""


@register("forward-forward")
class ForwardForward(LocalLosses):
    """The forward-forward algorithm on `backprop-cnn`'s layers. See the module's docstring.

    The same convolutions, pooling and linear layer as `backprop-cnn`. What differs: the label comes in as further image
    planes, one per class, of ones for the given label and zeros for the others, since a convolution sees a label only
    if it is spread over the whole image (cf. Scodellaro et al. 2023, arXiv 2312.14924); no batch norm and no dropout,
    which would act on the goodness itself; layer normalisation between layers (the paper's does not subtract the mean,
    but learning is faster with it); no head. The paper's networks are fully or locally connected. Its author's code
    always uses hard negatives (here `negatives=hard`) and a term that keeps units' mean activities alike (not here).
    """

    summary = "forward-forward: every layer of one image path learns alone to tell right labels in its input from wrong"
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, in turn, with right and wrong labels"
    )
    credit = "gradients inside a layer"
    Options = ForwardForwardOptions
    search_space: ClassVar[Mapping[str, Range]] = {
        "theta": Range(0.1, 2.0, log=True),
        "sharpness": Range(32.0, 2048.0, log=True),
    }
    options: ForwardForwardOptions

    def __init__(self, shape: TaskShape, options: ForwardForwardOptions) -> None:
        super().__init__(shape, options)
        with_label = replace(shape, channels=shape.channels + shape.num_classes)
        self.image_path = ImagePath(with_label, features=options.features, batch_norm=False)
        for module in self.image_path.modules():
            if isinstance(module, Dropout):
                module.p = 0.0

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """For each layer the loss on positive data, then that on negative data, so that one is held at a time."""
        right, wrong = self.with_label(x, y), self.with_label(x, self._wrong_labels(x, y))
        for layer in cut(self.image_path):
            right = layer(right)
            yield F.softplus(-self._evidence(right)).mean()
            right = normalised(right.detach())
            wrong = layer(wrong)
            yield F.softplus(self._evidence(wrong)).mean()
            wrong = normalised(wrong.detach())

    def with_label(self, x: Tensor, y: Tensor) -> Tensor:
        """Images with labels as further planes: (batch, channels + num_classes, height, width)."""
        planes = F.one_hot(y, self.shape.num_classes).to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return torch.cat([x, planes], dim=1).contiguous(memory_format=torch.channels_last)

    def _evidence(self, h: Tensor) -> Tensor:
        """Log-odds of positive data from a layer's output, (batch,)."""
        return self.options.sharpness * (goodness(h) - self.options.theta)

    def _wrong_labels(self, x: Tensor, y: Tensor) -> Tensor:
        """A label for each image that is not its own, (batch,), drawn from PyTorch's generator."""
        if self.options.negatives == "uniform":
            weights = torch.ones(len(y), self.shape.num_classes, device=y.device)
        else:
            weights = self._evidence_by_label(x).softmax(dim=1) + _EPSILON
        return weights.scatter(1, y[:, None], 0.0).multinomial(1).squeeze(1)

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
