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
HEADERS = ["method", "median, first record", "median, last record", "largest", "its epoch"]
TEXT = """
### Gradient norms

{{ table }}

Euclidean norms over one optimiser's parameters (each block's, where blocks train apart, in one heap), before clipping,
at every fourth step (with clipping, at every step). A record has the steps since the one before: an epoch, if every
epoch was evaluated. Medians are those of the first and the last record, and then over seeds; the largest is that of all
records and seeds. Methods have losses of their own, and so have the blocks of `noprop`, whose weights differ a
thousandfold: compare a method with itself. Adam divides by a running mean of the gradients' size, so a step with a far
larger gradient than usual is too long, and those after it are too short.
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
    worst = max((epoch for epochs in measured for epoch in epochs), key=_largest)
    return [
        number(median(_median(epochs[0]) for epochs in measured), DIGITS),
        number(median(_median(epochs[-1]) for epochs in measured), DIGITS),
        number(_largest(worst), DIGITS),
        str(worst.epoch),
    ]


def _median(epoch: EpochRecord) -> float:
    return math.nan if epoch.grad_norm_median is None else epoch.grad_norm_median


def _largest(epoch: EpochRecord) -> float:
    return 0.0 if epoch.grad_norm_max is None else epoch.grad_norm_max
