"""Presets: how much work a run is. Epochs come from the data set, everything else from here.

Within a preset every method gets the same values. `paper` has the values that arXiv 2503.24322 gives for its backprop
baseline and NoProp in discrete time (table 3); `quick` and `standard` are the same in fewer epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

OPTIMIZER = "AdamW"
"""The one optimiser, for every method."""


@dataclass(frozen=True)
class Preset:
    """Values that apply where the user gives none."""

    summary: str
    seeds: tuple[int, ...]
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 1e-3


PRESETS = {
    "quick": Preset("a first look: few epochs, two seeds", seeds=(0, 1)),
    "standard": Preset("enough epochs to compare on a CPU, three seeds", seeds=(0, 1, 2)),
    "paper": Preset("the paper's hyperparameters and epochs (table 3), three seeds", seeds=(0, 1, 2)),
}
