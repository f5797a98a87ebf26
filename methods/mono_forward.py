"""Mono-Forward (Gong, Li and Abdulla 2025, arXiv 2501.09238): every layer learns by a classifier of its own output.

Layer i with activities a_i (n_i units) has a trained projection M_i, (K, n_i), to a goodness for each of the K classes,
and learns with it from the cross-entropy of that goodness,

G_i = a_i M_i^T,    L_i = -log softmax(G_i)_y.

No gradient passes from a layer to the one before it. Prediction takes the class with the greatest goodness, either
summed over all layers, as in the forward-forward algorithm (`prediction=sum`), or that of the last layer, as in
backpropagation (`prediction=last`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.method import TaskShape
from methods.core.options import INFERENCE_ONLY
from methods.core.registry import register
from methods.networks.backbone import ImagePath
from methods.networks.layerwise import CNNOptions, LocalLosses, cut, hidden_shapes


@dataclass(frozen=True)
class MonoForwardOptions(CNNOptions):
    """Options of Mono-Forward."""

    prediction: Annotated[Literal["sum", "last"], INFERENCE_ONLY] = "sum"
    """Whose goodness decides: the sum over all hidden layers, or that of the last one."""


@register("mono-forward")
class MonoForward(LocalLosses):
    """Mono-Forward on `backprop-plain`'s hidden layers. See the module's docstring.

    The same network, initialisation, dropout and batch norm as `backprop-plain`, whose head the last layer's projection
    replaces. A convolution's activities are those after its pooling, which the next layer sees, all positions flattened
    to one vector. What differs from `local-loss[loss=pred]`: no pooling before the projection, no bias, and a last
    projection that trains the last hidden layer and is also the head.
    """

    summary = "Mono-Forward: every layer of one image path learns from cross-entropy on a projection to the classes"
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, in turn, each on its own loss"
    )
    credit = "gradients inside a layer"
    core = True
    Options = MonoForwardOptions
    options: MonoForwardOptions

    def __init__(self, shape: TaskShape, options: MonoForwardOptions) -> None:
        super().__init__(shape, options)
        self.image_path = ImagePath(shape, features=options.features)
        self.projections = nn.ModuleList(
            nn.Linear(prod(hidden), shape.num_classes, bias=False) for hidden in hidden_shapes(shape)
        )

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """Each layer's cross-entropy."""
        for goodness in self.goodness(x):
            yield F.cross_entropy(goodness, y)

    def goodness(self, x: Tensor) -> Iterator[Tensor]:
        """G_i of each layer in turn, (batch, num_classes); no graph joins any two."""
        h = x
        for layer, projection in zip(cut(self.image_path), self.projections, strict=True):
            h = layer(h)
            yield projection(h.flatten(start_dim=1))
            h = h.detach()

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The goodness of each class; not random."""
        goodness = list(self.goodness(x))
        return goodness[-1] if self.options.prediction == "last" else torch.stack(goodness).sum(dim=0)
