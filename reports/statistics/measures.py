"""What is compared: the measures of a cell, each a numeric field of `CellResult` in the unit in which it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.view import DatasetView, by_seed
from results.schema import CellResult

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric field of `CellResult`."""

    header: str
    """Name and unit, as the head of a table's column."""
    field: str
    scale: float = 1.0
    """Divides the stored value."""
    decimals: int | None = None
    exact: bool = False
    """The same for every seed by construction, so it has no interval and needs no test."""

    def values(self, cells: Iterable[CellResult]) -> dict[int, float]:
        """The shown values by seed; cells without one are left out."""
        return {seed: value / self.scale for seed, value in by_seed(cells, self.field).items()}


PERCENT = 0.01
TEST_ACCURACY = Measure("test accuracy, %", "test_accuracy", PERCENT, decimals=2)
VAL_ACCURACY = Measure("validation accuracy, %", "val_accuracy", PERCENT, decimals=2)
TRAIN_SECONDS = Measure("training, s", "train_seconds")
PEAK_RSS = Measure("peak resident, MiB", "peak_rss_bytes", MIB)
RSS_RISE = Measure("rise over baseline, MiB", "rss_rise_bytes", MIB)
ACTIVATIONS = Measure("activations held for backward, MiB", "activation_bytes", MIB, exact=True)
GPU_ALLOCATED = Measure("GPU peak allocated, MiB", "gpu_peak_allocated_bytes", MIB)
TRAIN_FLOPS = Measure("training, MFLOP per image", "train_flops_per_image", 1e6, exact=True)


def is_measured(data: DatasetView, measure: Measure) -> bool:
    """Whether any finished cell has it."""
    return any(getattr(cell, measure.field) is not None for cell in data.cells)


def depth_profile(cells: Sequence[CellResult]) -> dict[int, list[float]]:
    """Activation bytes of every seed by depth T, in order of T."""
    profile: dict[int, list[float]] = {}
    for cell in cells:
        for depth, held in cell.activation_bytes_by_T.items():
            profile.setdefault(int(depth), []).append(float(held))
    return dict(sorted(profile.items()))
