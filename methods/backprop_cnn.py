"""What a practitioner would use instead of T blocks: one image path and a linear head, trained by cross-entropy."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.backbone import HIDDEN, PAPER, ImagePath
from methods.networks.layerwise import CNNOptions


@register("backprop-cnn")
class BackpropCNN(EndToEnd):
    """One of the blocks' image paths with a classifier on top: about 1/T of a stack's network."""

    paper = PAPER  # inferred: those of `backprop`
    summary = "backpropagation through one image path and a linear head: what one would use in practice"
    epoch_definition = "one pass over the training images; each batch trains the one network once"
    core = True
    credit = "gradients through the whole network"

    Options = CNNOptions
    options: CNNOptions

    def __init__(self, shape: TaskShape, options: CNNOptions) -> None:
        super().__init__(shape, options)
        self.image_path = ImagePath(shape, features=options.features)
        self.head = nn.Linear(HIDDEN, shape.num_classes)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self._logits(x), y)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Logits; not random."""
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        return self.head(self.image_path(x).relu())

    def stack(self) -> Iterable[nn.Module]:
        """The image path."""
        return [self.image_path]
