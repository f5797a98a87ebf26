"""NoProp's own model and losses with gradients let through from block to block.

The control for what 'no gradient crosses blocks' costs or buys. Two more things follow from that change. There is
something to pass a gradient along only if block t's input comes from the blocks before it, so z_{t-1} is the chain that
inference samples, where NoProp draws it from the label. And the z_T that the cross-entropy classifies is the end of
that chain, so that this term trains every block, where in NoProp it trains the head (and a learned W_embed) alone. A
gap between the two methods may come from any of the three.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.end_to_end import EndToEnd
from methods.core.registry import register
from methods.networks.discrete import DenoisingStack, NoPropOptions


@register("noprop-attached")
class NoPropAttached(DenoisingStack, EndToEnd):
    """`NoPropDT` with gradients let through. See the module's docstring."""

    summary = "NoProp's model and losses, trained end to end along the sampled chain: the control"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    credit = "gradients through the whole network"
    Options = NoPropOptions
    trained_on_own_task = False

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The losses summed along the chain that inference samples.

        The denoising losses and the KL term are NoProp's; the cross-entropy is of the chain's own z_T.
        """
        u = self.net.embedding(y)
        z = torch.randn_like(u)
        loss = self.schedule.kl_to_standard_normal(u).mean()
        for t in range(1, self.options.T + 1):
            estimate = self.net.estimate(t, x, z)
            loss = loss + self.denoising_loss(t, estimate, u)
            z = self._next(t, z, estimate, generator=None)
        classified = estimate if self.options.classifier_input == "output" else z
        return loss + F.cross_entropy(self.net.head(classified), y)
