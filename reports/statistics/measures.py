"""What is compared: the measures of a cell, each a numeric field of `CellResult` in the unit in which it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.statistics.estimates import Estimate, estimate, paired_differences, paired_ratios
from reports.view import DatasetView
from results.schema import CellResult

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric field of `CellResult`."""

    name: str
    """As in a sentence."""
    unit: str
    """Empty for a bare number."""
    field: str
    scale: float = 1.0
    """Divides the stored value."""
    decimals: int | None = None
    exact: bool = False
    """The same for every seed by construction, so it has no interval and needs no test."""

    @property
    def header(self) -> str:
        """Name and unit, as the head of a table's column."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def values(self, cells: Iterable[CellResult]) -> dict[int, float]:
        """The shown values by seed; cells without one are left out."""
        values = {cell.seed: getattr(cell, self.field) for cell in cells}
        return {seed: float(value) / self.scale for seed, value in values.items() if value is not None}

    def mean(self, cells: Iterable[CellResult]) -> Estimate | None:
        """Over seeds, with its interval: of an accuracy from 0 to 100, of anything else not below 0."""
        limits = (0.0, 100.0) if self.scale == PERCENT else (0.0, math.inf)
        return estimate(self.values(cells).values(), limits=limits)


PERCENT = 0.01
TEST_ACCURACY = Measure("test accuracy", "%", "test_accuracy", PERCENT, decimals=2)
BALANCED_ACCURACY = Measure("balanced accuracy", "%", "test_balanced_accuracy", PERCENT, decimals=2)
BEST_VAL_ACCURACY = Measure("at best validation", "%", "test_accuracy_at_best_val", PERCENT, decimals=2)
VAL_ACCURACY = Measure("validation accuracy", "%", "val_accuracy", PERCENT, decimals=2)
TRAIN_SECONDS = Measure("training time", "s", "train_seconds")
EVAL_SECONDS = Measure("evaluation time", "s", "eval_seconds")
IMAGES_PER_SECOND = Measure("images/s", "", "images_per_second")
PEAK_RSS = Measure("peak memory", "MiB", "peak_rss_bytes", MIB)
RSS_RISE = Measure("peak memory increase", "MiB", "rss_rise_bytes", MIB)
ACTIVATIONS = Measure("activation memory", "MiB", "activation_bytes", MIB, exact=True)
GPU_ALLOCATED = Measure("peak GPU memory", "MiB", "gpu_peak_allocated_bytes", MIB)
GPU_RESERVED = Measure("peak GPU memory reserved", "MiB", "gpu_peak_reserved_bytes", MIB)
GPU_PROCESS = Measure("GPU memory of the process", "MiB", "gpu_process_bytes", MIB)
GPU_MEMORY = (GPU_ALLOCATED, GPU_RESERVED, GPU_PROCESS)
CPU_ENERGY = Measure("CPU energy", "J", "cpu_joules")
GPU_ENERGY = Measure("GPU energy", "J", "gpu_joules")
TRAIN_FLOPS = Measure("training compute", "MFLOP per image", "train_flops_per_image", 1e6, exact=True)
PREDICT_FLOPS = Measure("prediction compute", "MFLOP per image", "predict_flops_per_image", 1e6, exact=True)


def is_measured(data: DatasetView, measure: Measure) -> bool:
    """Whether any finished cell has it."""
    return any(getattr(cell, measure.field) is not None for cell in data.cells)


def paired(data: DatasetView, measure: Measure, method: str, other: str) -> list[float]:
    """Method against other for every seed that both finished: the difference of an accuracy, otherwise the ratio."""
    ours, theirs = (measure.values(data.finished[name]) for name in (method, other))
    return paired_differences(ours, theirs) if measure.scale == PERCENT else paired_ratios(ours, theirs)


def depth_profile(cells: Sequence[CellResult]) -> dict[int, list[float]]:
    """Activation bytes of every seed by depth T, in order of T."""
    profile: dict[int, list[float]] = {}
    for cell in cells:
        for depth, held in cell.activation_bytes_by_T.items():
            profile.setdefault(int(depth), []).append(float(held))
    return dict(sorted(profile.items()))
