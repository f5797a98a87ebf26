"""What more ranks gain, from two runs with known times."""

from __future__ import annotations

import math
from typing import Any

import pytest

from reports.comparison.pairing import pair_runs
from reports.comparison.text import speed_up
from reports.view import arrange
from results.schema import CellResult
from tests.factories import make_cell, make_run

SEEDS = (0, 1, 2)


def cells(ranks: int, seconds: tuple[float, ...], method: str = "noprop", **overrides: Any) -> list[CellResult]:
    return [
        make_cell(method, "digits", seed, world_size=ranks, train_seconds=each, **overrides)
        for seed, each in zip(SEEDS, seconds, strict=True)
    ]


def table(old: list[CellResult], new: list[CellResult]) -> str | None:
    return speed_up(pair_runs(arrange(make_run(old), old), arrange(make_run(new), new)).pairs)


def test_speed_up_and_efficiency() -> None:
    """Gains of 1.5, 1.5 and 2.0 times on twice as many ranks."""
    found = table(cells(2, (30.0, 30.0, 40.0)), cells(4, (20.0, 20.0, 20.0)))
    assert found is not None
    row = found.splitlines()[-1]
    mean = math.exp((2 * math.log(1.5) + math.log(2)) / 3)
    assert row.split()[:7] == ["digits", "noprop", "3", "2", "4", "33.3", "20.0"]
    assert f"{mean:.2f} (" in row
    assert row.endswith(f"{mean / 2:.0%}")


@pytest.mark.parametrize("method", ["noprop", "backprop"])
def test_only_where_the_ranks_differ(method: str) -> None:
    seconds = (10.0, 11.0, 12.0)
    both = cells(1, seconds) + cells(1, seconds, "backprop")
    other = cells(2 if method == "noprop" else 1, seconds) + cells(
        2 if method == "backprop" else 1, seconds, "backprop"
    )
    found = table(both, other)
    assert found is not None
    (row,) = found.splitlines()[2:]
    assert row.split()[1] == method
    assert table(both, both) is None
