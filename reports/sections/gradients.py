"""Gradient norms: their median when training starts and when it ends, and the largest of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from reports.formats.markdown import Markdown, code, markdown_table, number
from reports.formats.prose import prose
from reports.view import DatasetView, RunView
from results.schema import CellResult, EpochRecord

DIGITS = 3
HEADERS = [
    "method",
    "median, first epoch",
    "median, last epoch",
    "largest",
    "its epoch",
    "largest / median, later half",
]
TEXT = """
### Gradient norms

{{ table }}

Euclidean norms over one optimiser's parameters (each block's, where blocks train apart), before clipping. The medians
are those of the first and the last evaluated epoch, of the middle one of the seeds; the largest is that of all epochs
and seeds. *Largest / median, later half* is an epoch's largest norm over its median, in the worst epoch of the later
half of training. Only this ratio can be compared between methods, since every method has a loss of its own. Adam
divides by a running mean of the gradients' size, so a step with a far larger gradient than usual is too long, and those
after it are too short: where accuracy jumps between epochs, look here first.
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The table; None where no norms were recorded."""
    rows = [[code(method), *found] for method, cells in data.finished.items() if (found := _row(cells))]
    return prose(TEXT, table=markdown_table(HEADERS, rows)) if rows else None


def _row(cells: Sequence[CellResult]) -> list[str] | None:
    """A method's columns."""
    measured = [epochs for cell in cells if (epochs := [e for e in cell.epochs if e.grad_norm_median is not None])]
    if not measured:
        return None
    every = [epoch for epochs in measured for epoch in epochs]
    later = [epoch for epochs in measured for epoch in epochs[len(epochs) // 2 :]]
    worst = max(every, key=_largest)
    return [
        number(median(_median(epochs[0]) for epochs in measured), DIGITS),
        number(median(_median(epochs[-1]) for epochs in measured), DIGITS),
        number(_largest(worst), DIGITS),
        str(worst.epoch),
        number(max(_largest(epoch) / _median(epoch) if _median(epoch) else math.inf for epoch in later), decimals=1),
    ]


def _median(epoch: EpochRecord) -> float:
    return math.nan if epoch.grad_norm_median is None else epoch.grad_norm_median


def _largest(epoch: EpochRecord) -> float:
    return 0.0 if epoch.grad_norm_max is None else epoch.grad_norm_max
