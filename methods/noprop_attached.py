"""NoProp's own model and losses with one thing changed: gradients pass from block to block.

The control that isolates what 'no gradient crosses blocks' costs or buys. It takes what follows from that change: there
is something to pass a gradient along only if block t's input comes from the blocks before it, so z_{t-1} is the chain
that inference samples, where NoProp draws it from the label.
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
