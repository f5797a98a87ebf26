"""The control for "no gradient crosses blocks": NoProp's model and losses with gradients passed from block to block.

Three things change together. Gradients cross blocks. So that there is a path for them, block t's input comes from the
blocks before it: z_{t-1} is the chain that inference samples, where NoProp draws it from the label. And the
cross-entropy classifies the end z_T of that chain, so it trains every block, where in NoProp it trains only the head
(and a learned W_embed). A gap between the two methods may come from any of the three.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.end_to_end import EndToEnd
from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.discrete import DenoisingStack, NoPropOptions
from methods.networks.embedding import HeadOptions


@dataclass(frozen=True)
class AttachedOptions(NoPropOptions, HeadOptions):
    """Options of NoProp's model with gradients between blocks."""


@register("noprop-attached")
class NoPropAttached(DenoisingStack, EndToEnd):
    """`NoPropDT` with gradients between blocks. See the module's docstring."""

    summary = "NoProp's model and losses, trained end to end along the sampled chain: the control"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    credit = "gradients through the whole network"
    Options = AttachedOptions
    options: AttachedOptions
    trained_on_own_task = False

    def __init__(self, shape: TaskShape, options: AttachedOptions) -> None:
        super().__init__(shape, options)
        self.net.head.start_scaled(options.head_scale, self.net.embedding)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """NoProp's denoising losses and KL term, and the cross-entropy of the sampled chain's own z_T."""
        u = self.net.embedding(y)
        z = torch.randn_like(u)
        loss = self.schedule.kl_to_standard_normal(u).mean()
        for t in range(1, self.options.T + 1):
            estimate = self.net.estimate(t, x, z)
            loss = loss + self.denoising_loss(t, estimate, u)
            z = self._next(t, z, estimate, generator=None)
        classified = estimate if self.options.classifier_input == "output" else z
        return loss + F.cross_entropy(self.net.head(classified), y)
