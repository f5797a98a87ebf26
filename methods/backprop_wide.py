"""The control for the stack's size: one CNN with about as many parameters as T blocks, trained end to end.

`backprop-plain`'s network with all widths (32, 64 and 128 channels, 256 hidden units) times w. w is the multiple of
1/32 whose number of parameters is nearest to that of the stack of `noprop` and `backprop` with the same T, one-hot
embeddings and the same images: at T = 10 about 6 on digits, 4.3 on MNIST. The two numbers differ by less than 1% from
there on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import TaskShape
from methods.core.options import Options, count_to
from methods.core.registry import register
from methods.networks.backbone import HIDDEN, MAX_BLOCKS, PAPER, Features, ImagePath
from methods.networks.block_stack import BlockStack, StackOptions

_PER_UNIT = 32
"""Multiples of 1/32 keep the number of channels whole."""


@dataclass(frozen=True)
class WideOptions(Options):
    """Options of the wide network."""

    T: Annotated[int, count_to(MAX_BLOCKS)] = 10
    """Number of blocks of the stack whose number of parameters it has."""
    features: Features = "flatten"
    """What the linear layer reads of the last feature map, here and in the stack: by default what a block's reads."""


@register("backprop-wide")
class BackpropWide(EndToEnd):
    """One wide CNN, end to end. See the module's docstring."""

    summary = "backpropagation through one CNN as large as the stack of T blocks: the control for size"
    epoch_definition = "one pass over the training images; each batch trains the one network once"
    credit = "gradients through the whole network"
    paper = PAPER  # inferred: those of `backprop`
    Options = WideOptions
    options: WideOptions

    def __init__(self, shape: TaskShape, options: WideOptions) -> None:
        super().__init__(shape, options)
        self.net = _network(shape, width_like_stack(shape, options), options.features)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self.net(x), y)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Logits; not random."""
        return self.net(x)

    def stack(self) -> Iterable[nn.Module]:
        """The network, which stands for the blocks."""
        return [self.net]


def width_like_stack(shape: TaskShape, options: WideOptions) -> float:
    """The factor w at which the network has the number of parameters nearest to that of the stack.

    With widths in proportion to w, the number of parameters is a + b w + c w^2.
    """
    with torch.random.fork_rng(devices=[]):  # counted and thrown away
        wanted = options.T * _count(BlockStack(shape, StackOptions(T=1, features=options.features)).blocks)
        at_1, at_2, at_3 = (_count(_network(shape, w, options.features)) for w in (1, 2, 3))
    c = (at_3 - 2 * at_2 + at_1) / 2
    b = at_2 - at_1 - 3 * c
    a = at_1 - b - c
    w = (math.sqrt(b**2 - 4 * c * (a - wanted)) - b) / (2 * c)
    return round(_PER_UNIT * w) / _PER_UNIT


def _network(shape: TaskShape, width: float, features: Features) -> nn.Sequential:
    head = nn.Linear(round(width * HIDDEN), shape.num_classes)
    return nn.Sequential(ImagePath(shape, features=features, width=width), nn.ReLU(), head)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
