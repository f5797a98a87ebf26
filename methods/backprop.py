"""The matched baseline: the same T blocks as `noprop`, joined as in the paper's baseline and trained end to end.

arXiv 2503.24322, section 4: z_t = (1 - w_t) z_{t-1} + w_t u_hat_t(z_{t-1}, x), w_t = tanh of a learned scalar,
z_0 ~ N(0, I), and cross-entropy on the classifier of z_T, backpropagated through all blocks.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.backbone import PAPER
from methods.networks.block_stack import StackMethod, StackOptions
from methods.networks.embedding import HeadOptions

LEAST_MIX = 0.5
MOST_NOISE_LEFT = 2.0**-10
"""How much of z_0 may be in z_T at the start of training: as much as ten blocks leave at `LEAST_MIX`."""


def initial_mix(num_blocks: int) -> float:
    """Initial w_t, the same for all blocks: 0.5, or as much more as it takes for (1 - w)^T <= `MOST_NOISE_LEFT`.

    Not in the paper. The optimiser moves w_t by at most the learning rate a step: from 0.5, a single block would keep
    half of the noise that it starts from for most of a training.
    """
    return max(LEAST_MIX, 1 - MOST_NOISE_LEFT ** (1 / num_blocks))


@dataclass(frozen=True)
class BackpropOptions(StackOptions, HeadOptions):
    """Options of backpropagation through the stack."""


@register("backprop")
class Backprop(StackMethod, EndToEnd):
    """Backpropagation through the whole stack. See the module's docstring."""

    summary = "backpropagation through the same T blocks, joined as the paper's baseline: the matched rival"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    core = True
    credit = "gradients through the whole network"
    Options = BackpropOptions
    paper = PAPER
    options: BackpropOptions

    def __init__(self, shape: TaskShape, options: BackpropOptions) -> None:
        super().__init__(shape, options)
        self.net.head.start_scaled(options.head_scale, self.net.embedding)
        self.mix = nn.Parameter(torch.full((options.T,), math.atanh(initial_mix(options.T))))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of the whole stack's output."""
        return self.loss_from(self.noise(x), x, y)

    def noise(self, x: Tensor) -> Tensor:
        """z_0 ~ N(0, I) for a batch of images: (batch, embedding_dim)."""
        return torch.randn(len(x), self.net.embedding.dim, device=x.device)

    def loss_from(self, z: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch that starts from the given z_0."""
        for t in range(1, self.options.T + 1):
            z = self._apply_block(t, x, z)
        return F.cross_entropy(self.net.head(z), y)

    def _apply_block(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """z_{t-1} to z_t, both (batch, embedding_dim)."""
        return self._next(t, z, self.net.estimate(t, x, z), generator=None)

    def _next(self, t: int, z: Tensor, estimate: Tensor, generator: Generator | None) -> Tensor:
        """z_t = (1 - w_t) z_{t-1} + w_t u_hat_t; not random."""
        w = self.mix[t - 1].tanh()
        return (1 - w) * z + w * estimate
