"""NoProp's own model and losses with gradients let through from block to block.

The control for what 'no gradient crosses blocks' costs or buys. Two more things follow from that change. There is
something to pass a gradient along only if block t's input comes from the blocks before it, so z_{t-1} is the chain that
inference samples, where NoProp draws it from the label. And the z_T that the cross-entropy classifies is the end of
that chain, so that this term trains every block, where in NoProp it trains the head (and a learned W_embed) alone. A
gap between the two methods may come from any of the three.
"""

from __future__ import annotations

from methods.noprop_dt import NoPropDT
from methods.registry import register


@register("noprop-attached")
class NoPropAttached(NoPropDT):
    """`NoPropDT` with its switch `attached` on."""

    summary = "NoProp's model and losses, trained end to end along the sampled chain: the control"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    attached = True
    trained_on_own_task = False
