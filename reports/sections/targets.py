"""What it took to reach a validation accuracy: training seconds, images and floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from reports.formats.markdown import MISSING, code, markdown_table, number, plural
from reports.statistics.estimates import median_with_misses
from reports.view import DatasetView
from results.schema import CellResult

FLOP_UNITS = {"PFLOP": 1e15, "TFLOP": 1e12, "GFLOP": 1e9}


@dataclass(frozen=True, slots=True)
class Effort:
    """One way to count what training took."""

    name: str
    spent: Callable[[CellResult], dict[str, float | None]]
    """By target, None where it was not reached; empty for a cell that did not record it."""
    units: dict[str, float] | None = None
    """Names of units and what they divide by, largest first; the largest that leaves the largest figure above 1."""


def _flops_to(cell: CellResult) -> dict[str, float | None]:
    each = cell.train_flops_per_image
    if each is None:
        return {}
    return {target: None if images is None else images * each for target, images in cell.images_to.items()}


EFFORTS = (
    Effort("Training seconds", lambda cell: dict(cell.seconds_to)),
    Effort("Training images, each pass counted", lambda cell: dict(cell.images_to)),
    Effort("Training FLOPs", _flops_to, FLOP_UNITS),
)


def table(data: DatasetView, effort: Effort) -> str | None:
    """The median over seeds for each validation accuracy; None where no method reached any of them."""
    spent = {method: [effort.spent(cell) for cell in cells] for method, cells in data.finished.items() if cells}
    targets = sorted({target for cells in spent.values() for cell in cells for target in cell}, key=float)
    known = [value for cells in spent.values() for cell in cells for value in cell.values() if value is not None]
    if not known:
        return None
    unit, scale = _unit(effort, max(known))
    rows = []
    for method, cells in spent.items():
        row = [code(method)]
        for target in targets:
            values = [cell[target] for cell in cells if target in cell]
            reached = sum(value is not None for value in values)
            row.append(f"{_median(values, scale)} ({reached} of {len(values)})" if reached else MISSING)
        rows.append(row)
    headers = [f"{float(target) * 100:g}%" for target in targets]
    return f"{effort.name}{unit}:\n\n{markdown_table(['method', *headers], rows)}"


def section(data: DatasetView) -> Iterator[str]:
    """The tables and how to read them, as Markdown blocks."""
    tables = [found for effort in EFFORTS if (found := table(data, effort))]
    if not tables:
        targets = sorted({float(target) for cell in data.cells for target in cell.seconds_to})
        yield (
            f"No method reached {targets[0] * 100:g}% validation accuracy, the lowest of the targets."
            if targets
            else "No targets were recorded."
        )
        return
    yield (
        "What training took until the validation accuracy first reached the figure, as the median over seeds, with the "
        "number of seeds that reached it. A seed that did not reach it counts as infinite: ∞ stands where half of the "
        f"seeds or more did not, and {MISSING} where none did. Accuracy is looked at {_how_often(data)}; evaluation is "
        "in none of them."
    )
    yield from tables
    if any(_flops_to(cell) for cell in data.cells):
        yield "FLOPs are the images times the FLOPs of training for each image, as in the table of work above."


def _how_often(data: DatasetView) -> str:
    every = max(cell.config.eval_every for cell in data.cells)
    if every == 1:
        return "once an epoch, so these are figures of whole epochs"
    return f"every {every} epochs (`--eval-every`), so these figures are late by up to {plural(every - 1, 'epoch')}"


def _unit(effort: Effort, most: float) -> tuple[str, float]:
    if effort.units is None:
        return "", 1.0
    name, scale = next(((name, scale) for name, scale in effort.units.items() if most >= scale), ("FLOP", 1.0))
    return f", {name}", scale


def _median(values: Sequence[float | None], scale: float) -> str:
    median = median_with_misses(values) / scale
    return number(median) if math.isfinite(median) else "∞"
