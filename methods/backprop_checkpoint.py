"""`backprop` with activation checkpointing: it keeps only the z_t between blocks and computes each block again.

The same function, gradients and updates as `backprop`, for one more forward pass of each block.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from methods.backprop import Backprop
from methods.core.registry import register


@register("backprop-checkpoint")
class BackpropCheckpoint(Backprop):
    """`Backprop` with a checkpoint between blocks. See the module's docstring."""

    summary = "backprop with activation checkpointing between blocks: the fair rival on memory"
    epoch_definition = (
        "one pass over the training images; each batch trains all T blocks together, once, and computes each block's "
        "forward pass twice"
    )
    core = True

    def _apply_block(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super()._apply_block(t, x, z)
        # The reentrant form records nothing on the way forward (`no_grad`) and an ordinary graph on the way back, so
        # the hooks that count activations see all of it; the other form hides what it recomputes behind its own hooks.
        # It needs an input that requires a gradient, which z_0 does not by itself.
        if t == 1:
            z = z.requires_grad_()
        return checkpoint(self._recomputable_block, t, x, z, use_reentrant=True)

    def _recomputable_block(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """The block; its second pass (with gradients) must not count the batch in the running statistics again."""
        if not torch.is_grad_enabled():
            return super()._apply_block(t, x, z)
        with _running_statistics_kept(self.net.blocks[t - 1]):
            return super()._apply_block(t, x, z)


@contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    """Inside, batch norms in training mode normalise by the batch and leave their running statistics alone."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
