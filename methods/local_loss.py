"""Greedy layer-wise training with local classifiers (Nøkland and Eidnes 2019, arXiv 1901.06656).

Every hidden layer has its own loss at its output H, and no gradient passes from a layer to the one before it. With
`loss=predsim` the loss is (1 - beta) L_pred + beta L_sim, where

L_pred = CrossEntropy(Y, W^T H): a linear classifier of H, for convolutions after average pooling;
L_sim = |S(NeuralNet(H)) - S(Y)|^2 / N^2: the adjusted cosine similarities S of all pairs of the batch's N images; those
of their features, one convolution or linear layer away from H, should match those of their labels. (1 / N^2, a mean of
squares, is in the authors' code, and matters for the balance of the two.)

The head is trained by cross-entropy on the last hidden layer's output, with no gradient into that layer.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.method import TaskShape
from methods.core.options import BetweenZeroAndOne, Range, count_to
from methods.core.registry import register
from methods.networks.backbone import MAX_DIM
from methods.networks.layers import Conv2d, Linear
from methods.networks.layerwise import LayerwiseCNN, NetworkOptions

_EPSILON = 1e-8
"""Keeps the gradient of a square root finite where the features of an image are all the same."""


@dataclass(frozen=True)
class LocalLossOptions(NetworkOptions):
    """Options of training with local losses."""

    loss: Literal["predsim", "pred", "sim"] = "predsim"
    """Losses of a hidden layer: both, the classifier's alone (pred), or similarity matching alone (sim)."""
    beta: BetweenZeroAndOne = 0.99
    """Weight of similarity matching in `predsim` (0.99 is the paper's value); loss=pred and loss=sim are its ends."""
    classifier_dim: Annotated[int, count_to(MAX_DIM)] = 1024
    """Most inputs of a classifier: a convolution's output is averaged over positions down to this, or to one position
    (1,024 in the authors' code for MNIST)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_cnn("classifier_dim")


class LocalLoss(nn.Module):
    """A hidden layer's own loss, from its output and the labels: a scalar."""

    def __init__(self, hidden: tuple[int, ...], num_classes: int, options: LocalLossOptions) -> None:
        """Build what is trained with the layer but not used in inference.

        The shape `hidden` is of the layer's output for one image: (channels, height, width) or (features,).
        """
        super().__init__()
        self._num_classes = num_classes
        self._of_similarity = {"predsim": options.beta, "pred": 0.0, "sim": 1.0}[options.loss]
        channels, *size = hidden
        if options.loss != "sim":
            pooled = [min(length, math.isqrt(options.classifier_dim // channels) or 1) for length in size]
            self._pooling: nn.Module = nn.AdaptiveAvgPool2d((pooled[0], pooled[1])) if size else nn.Identity()
            self._classifier = nn.Linear(channels * math.prod(pooled), num_classes)
        if options.loss != "pred":
            self._features: nn.Module = Linear(channels, channels, bias=False)
            if size:
                self._features = Conv2d(channels, channels, 3, padding=1, bias=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """From the layer's output, (batch, *hidden), and labels, (batch,)."""
        loss = torch.zeros((), device=h.device)
        if self._of_similarity < 1:
            logits = self._classifier(self._pooling(h).flatten(start_dim=1))
            loss = loss + (1 - self._of_similarity) * F.cross_entropy(logits, y)
        if self._of_similarity > 0:
            labels = similarities(F.one_hot(y, self._num_classes))
            loss = loss + self._of_similarity * F.mse_loss(similarities(self._features(h)), labels)
        return loss


@register("local-loss")
class LocalLossCNN(LayerwiseCNN):
    """Each layer of `backprop-plain`'s network trained by its own loss. See the module's docstring.

    The same network, initialisation, dropout and batch norm as `backprop-plain`. What differs: each hidden layer also
    has a linear classifier and features for similarity matching, which inference does not use. The paper's networks
    have batch norm after every convolution, leaky ReLU and dropout of whole channels, its losses act before a layer's
    pooling, and its classifiers and head start at zero; here network, dropout and initialisation are the benchmark's,
    and the losses act on the input of the next layer.

    With `network=mlp`, the paper's network for MNIST without convolutions, with its batch norm, activation and dropout.
    """

    summary = "greedy layer-wise training: every layer of one image path by its own local classifier and similarities"
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, in turn, each on its own loss"
    )
    core = True
    credit = "gradients inside a layer"
    mlp = "local-loss"
    Options = LocalLossOptions
    search_space: ClassVar[Mapping[str, Range]] = {"beta": Range(0.5, 0.999)}
    options: LocalLossOptions

    def __init__(self, shape: TaskShape, options: LocalLossOptions) -> None:
        super().__init__(shape, options)
        self.local_losses = nn.ModuleList(
            LocalLoss(hidden, shape.num_classes, options) for hidden in self.hidden_shapes
        )

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """Each hidden layer's, then the head's cross-entropy."""
        h = x
        for layer, local_loss in zip(self.layers, self.local_losses, strict=True):
            h = layer(h)
            yield local_loss(h, y)
            h = h.detach()
        yield F.cross_entropy(self.head(h), y)


def similarities(features: Tensor) -> Tensor:
    """Adjusted cosine similarity of every pair of images, (batch, batch), in [-1, 1].

    From (batch, features), or from (batch, channels, height, width), whose standard deviations over positions are
    compared (or, if there is only one position, its values).
    """
    with torch.autocast(features.device.type, enabled=False):  # near 1, bfloat16 has two digits
        values = features.to(torch.promote_types(features.dtype, torch.float32))
        if values.dim() == 4:
            positions = values.flatten(start_dim=2)  # (batch, channels, height * width)
            spread = positions.shape[2] > 1
            values = (positions.var(dim=2) + _EPSILON).sqrt() if spread else positions.squeeze(2)
        unit = F.normalize(values - values.mean(dim=1, keepdim=True), eps=_EPSILON)
        return unit @ unit.T
