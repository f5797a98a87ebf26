"""`backprop` with a loss at every block: deep supervision (Lee et al. 2015, arXiv 1409.5185).

The stack, the way in which blocks are joined and the head are those of `backprop`. The loss is the mean, over blocks,
of the cross-entropy of the head's class for z_t,

L = (1 / T) sum_t CE(head(z_t), y),

backpropagated through all blocks before t. In the source every hidden layer has a classifier of its own; here all z_t
live among the class embeddings, so they share the one head, as they do in `noprop`'s diagnosis. It tells what `noprop`
owes to a loss at every block from what it owes, or loses, to gradients that end at the block.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.backprop import Backprop
from methods.core.registry import register


@register("backprop-deep-supervision")
class BackpropDeepSupervision(Backprop):
    """`Backprop` with a loss at every block. See the module's docstring."""

    summary = "backprop with a loss at every block, gradients through all: the control for NoProp's local losses"
    core = True

    def loss_from(self, z: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The mean of the blocks' cross-entropies."""
        losses = []
        for t in range(1, self.options.T + 1):
            z = self._apply_block(t, x, z)
            losses.append(F.cross_entropy(self.net.head(z), y))
        return torch.stack(losses).mean()
