"""Presets: how much work a run is. Epochs come from the data set, everything else from here.

In `quick` and `standard` every method gets the same values. `paper` has those of arXiv 2503.24322 (table 3), where
optimiser, epochs and steps differ between methods (`Method.paper`). Batch size, learning rate and weight decay are the
paper's in all three.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPTIMIZER = "AdamW"
"""The one optimiser, for every method, outside `PAPER`."""
CORE = "core"
"""In place of methods: those that declare it (`Method.core`). What runs where none is named."""
PAPER = "paper"
"""The preset in which a method's own settings count."""

NEWEST = "tuned"
"""Given to `--config` in place of a file: the newest hyperparameters that `python -m bench.tune` has found."""
DEFAULT_TUNED = Path("results/tuned")
"""Where it writes them."""
WINNERS_KEY = "tuned"
"""The key under which a configuration file has them."""
TunedSource = tuple[str, Any]
"""A file, or `NEWEST`, and what the file has under `WINNERS_KEY`."""


@dataclass(frozen=True)
class Preset:
    """Values that apply where the user gives none."""

    seeds: tuple[int, ...]
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 1e-3


PRESETS = {
    "quick": Preset(seeds=(0, 1, 2)),  # a first look, few epochs
    "standard": Preset(seeds=(0, 1, 2, 3, 4)),  # enough epochs to compare on a CPU
    PAPER: Preset(seeds=(0, 1, 2)),  # the paper's hyperparameters and epochs
}
