"""The section on several ranks: there only where there were any, with the figures of the rows."""

from __future__ import annotations

from typing import Any

from reports.sections.ranks import section
from reports.view import arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_run


def text(*cells: CellResult) -> str:
    run = arrange(make_run(list(cells)), cells)
    return section(run, run.datasets[0]) or ""


def cell(method: str, seed: int, **values: Any) -> CellResult:
    return make_cell(method, "digits", seed, world_size=2, **values)


def test_nothing_for_cells_of_one_process() -> None:
    assert text(make_cell("noprop", "digits", 0), make_cell("backprop", "digits", 0)) == ""


def test_a_row_has_ranks_seconds_and_what_was_exchanged() -> None:
    sent = {"bytes_exchanged_evaluation": 3 * MIB}
    said = text(
        cell("noprop", 0, train_seconds=10.0, **sent),
        cell("backprop", 0, train_seconds=30.0, bytes_exchanged_training=5 * MIB),
    )
    lines = [[each.strip() for each in line.strip("|").split("|")] for line in said.splitlines() if "| `" in line]
    rows = {name: figures for name, *figures in lines}
    assert rows["`noprop`"][:2] == ["1", "2"]
    assert [float(value) for value in rows["`noprop`"][2:]] == [10.0, 0.0, 3.0]
    assert [float(value) for value in rows["`backprop`"][2:]] == [30.0, 5.0, 0.0]
    assert "--nproc-per-node 1" in said
