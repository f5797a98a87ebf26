"""What a practitioner would use instead of T blocks: one image path and a linear head, trained by cross-entropy.

With `network=mlp` it is the control of a rule on its source's fully connected network.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.backbone import HIDDEN, PAPER, ImagePath
from methods.networks.layerwise import NetworkOptions
from methods.networks.mlp import MLP, MLPS, Rule


@dataclass(frozen=True)
class BackpropOptions(NetworkOptions):
    """Options of backpropagation through one network."""

    mlp_of: Rule = "dfa"
    """The rule whose source's network `network=mlp` is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.is_mlp or self.mlp_of == "dfa", "mlp_of", "dfa (the default) with network=cnn")


@register("backprop-plain", aliases=("backprop-cnn",))
class BackpropPlain(EndToEnd):
    """One of the blocks' image paths with a classifier on top: about 1/T of a stack's network.

    With `network=mlp`, the fully connected network of a rule's source with a linear head, end to end.
    """

    paper = PAPER  # inferred: those of `backprop`
    summary = "backpropagation through one image path and a linear head: what one would use in practice"
    epoch_definition = "one pass over the training images; each batch trains the one network once"
    core = True
    credit = "gradients through the whole network"

    Options = BackpropOptions
    options: BackpropOptions

    def __init__(self, shape: TaskShape, options: BackpropOptions) -> None:
        super().__init__(shape, options)
        self.image_path: MLP | ImagePath
        self.head: nn.Linear
        if options.is_mlp:
            self.image_path = MLP(shape, MLPS[options.mlp_of])
            self.head = self.image_path.head(shape.num_classes)
        else:
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
        h = self.image_path(x)
        return self.head(h if self.options.is_mlp else h.relu())

    def stack(self) -> Iterable[nn.Module]:
        """The hidden layers."""
        return [self.image_path]
