"""The matched baseline: the same T blocks joined as the paper's baseline is, trained end to end (section 4).

z_t = (1 - w_t) z_{t-1} + w_t u_hat_t(z_{t-1}, x), w_t = tanh of a learned scalar, z_0 ~ N(0, I), and cross-entropy on
the classifier of z_T, back-propagated through all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.backbone import BlockStack, StackOptions
from methods.method import MakeOptimizer, Method, TaskShape
from methods.registry import register

INITIAL_MIX = 0.5
"""w_t at the start: as much of the old as of the new. Not in the paper."""


@register("backprop")
class Backprop(Method):
    """Back-propagation through the whole stack. See the module's docstring."""

    summary = "backpropagation through the same T blocks, joined as the paper's baseline: the matched rival"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    Options = StackOptions
    options: StackOptions

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__(shape, options)
        self.net = BlockStack(shape, options)
        self.mix = nn.Parameter(torch.full((options.T,), math.atanh(INITIAL_MIX)))

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser over everything."""
        self._optimizer = make_optimizer(self.parameters())

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of the whole stack's output, one backward pass, one update."""
        z = torch.randn(len(x), self.net.embedding.dim, device=x.device)
        loss = F.cross_entropy(self._logits(x, z), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The same pass from a z_0 of the generator's."""
        return self._logits(x, torch.randn(len(x), self.net.embedding.dim, device=x.device, generator=generator))

    def _logits(self, x: Tensor, z: Tensor) -> Tensor:
        for t in range(1, self.options.T + 1):
            z = self._apply_block(t, x, z)
        logits: Tensor = self.net.head(z)
        return logits

    def _apply_block(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """z_{t-1} to z_t, both (batch, embedding_dim)."""
        w = self.mix[t - 1].tanh()
        return (1 - w) * z + w * self.net.estimate(t, x, z)

    def optimizers(self) -> Iterator[Optimizer]:
        """The one."""
        yield self._optimizer

    def stack(self) -> Iterable[nn.Module]:
        """The T blocks."""
        return self.net.blocks
