"""The table of gradient norms: medians of the first and last records over seeds, and the largest of all."""

from __future__ import annotations

import math

from reports.sections import gradients
from reports.view import arrange
from results.schema import CellResult
from tests.factories import make_cell, make_run
from tests.reports.test_tables import column


def cell(seed: int, norms: list[tuple[float | None, float | None]]) -> CellResult:
    """One with an epoch for each pair of median and maximum."""
    made = make_cell(seed=seed, epochs=len(norms))
    epochs = [
        epoch.model_copy(update={"grad_norm_median": middle, "grad_norm_max": largest})
        for epoch, (middle, largest) in zip(made.epochs, norms, strict=True)
    ]
    return made.model_copy(update={"epochs": epochs})


def row(cells: list[CellResult]) -> list[str] | None:
    """The columns of the one method; None where there is no section."""
    run = arrange(make_run(cells), cells)
    text = gradients.section(run, run.datasets[0])
    if text is None:
        return None
    table = text.split("\n\n")[1]
    return [column(table, cells[0].method, header) for header in gradients.HEADERS[1:]]


def test_medians_are_of_the_ends_and_the_largest_of_everything() -> None:
    seeds = [
        cell(0, [(2.0, 400.0), (1.0, 3.0), (0.5, 2.0), (0.25, 1.0)]),
        cell(1, [(4.0, 8.0), (1.0, 3.0), (0.5, 1.0), (0.75, 1.5)]),
        cell(2, [(3.0, 6.0), (1.0, 3.0), (0.5, 1.0), (0.35, 1.4)]),
    ]
    assert row(seeds) == ["3.00", "0.350", "400", "1"]


def test_an_infinite_gradient_is_the_largest() -> None:
    assert row([cell(0, [(1.0, 2.0), (math.inf, math.inf), (1.0, 5.0)])]) == ["1.00", "1.00", "∞", "2"]


def test_there_is_no_section_without_norms() -> None:
    assert row([cell(0, [(None, None), (None, None)])]) is None
