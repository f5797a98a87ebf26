"""The verdict: what it claims where the truth is known, and in which words."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from reports.sections import verdict
from reports.statistics.verdict import compare_with_reference
from reports.view import RunView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_cells, make_run

SEEDS = 8


def view_of(cells: list[CellResult], **of_run: object) -> RunView:
    return arrange(make_run(cells, **of_run), cells)


def drawn(chance: np.random.Generator, template: CellResult, method: str, shift: float = 0.0) -> list[CellResult]:
    """A method's cells with accuracy, time and memory drawn afresh; `shift` in standard deviations."""
    values = chance.normal(shift, 1.0, size=(SEEDS, 3))
    return [
        template.model_copy(
            update={
                "method": method,
                "method_name": method,
                "seed": seed,
                "test_accuracy": 0.9 + 0.005 * accuracy,
                "train_seconds": 30 * float(np.exp(0.1 * seconds)),
                "rss_rise_bytes": int(100 * MIB * np.exp(0.1 * rise)),
            }
        )
        for seed, (accuracy, seconds, rise) in enumerate(values)
    ]


def test_methods_that_do_not_differ_are_rarely_called_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels does it in every call: most of this test's time
    chance, template = np.random.default_rng(0), make_cell()
    alarms = []
    for _ in range(800):
        cells = [cell for method in ("backprop", "a", "b") for cell in drawn(chance, template, method)]
        alarms.append(any(each.is_told_apart for each in compare_with_reference(view_of(cells).datasets[0])))
    # Over all six comparisons of a data set together. Without the correction it is about one in five.
    assert np.mean(alarms) <= 0.05


def test_a_large_difference_is_found() -> None:
    chance, template = np.random.default_rng(0), make_cell()
    cells = [*drawn(chance, template, "backprop"), *drawn(chance, template, "worse", shift=5.0)]
    assert all(each.is_told_apart for each in compare_with_reference(view_of(cells).datasets[0]))


def make_pair(seeds: int, jobs: int = 1, **ours: object) -> RunView:
    """Backprop and a rival, each cell a little apart from the next seed's."""
    base = {"train_seconds": 10.0, "rss_rise_bytes": 100 * MIB, "activation_bytes": 50 * MIB, "test_accuracy": 0.9}
    cells = [make_cell(seed=seed, **base) for seed in range(seeds)]
    return view_of([*cells, *(make_cell("noprop", seed=seed, **(base | ours)) for seed in range(seeds))], jobs=jobs)


def text_of(run: RunView) -> str:
    return verdict.section(run, run.datasets[0]) or ""


def test_what_is_shown_is_told_in_the_reader_s_units() -> None:
    found = text_of(
        make_pair(9, train_seconds=21.0, rss_rise_bytes=62 * MIB, activation_bytes=5 * MIB, test_accuracy=0.896)
    )
    assert "90% less activation memory" in found
    assert "**test accuracy lower by 0.40 points (p = 0.012)**" in found
    assert "**slower by 2.10× (p = 0.012)**" in found
    assert "**38% less peak memory increase (p = 0.012)**" in found
    assert "not shown" not in found.splitlines()[2]


def test_with_few_seeds_it_says_that_nothing_can_be_shown_and_how_many_would_do() -> None:
    found = text_of(make_pair(3, train_seconds=21.0))
    assert "not shown by these seeds" in found
    assert "slower by 2.10×" in found
    assert "**slower" not in found
    assert "With 3 seeds, p cannot be below 0.250" in found
    assert "7 seeds are needed" in found


def test_with_too_many_methods_it_says_that_no_number_of_seeds_would_do() -> None:
    cells = [make_cell(f"m{k}" if k else "backprop", seed=seed) for k in range(150) for seed in range(2)]
    text = text_of(view_of(cells))
    assert "any single difference among so many comparisons, however large, no number of seeds is enough" in text
    assert "seeds are needed" not in text


def test_times_of_cells_side_by_side_are_not_compared() -> None:
    found = text_of(make_pair(9, jobs=2, train_seconds=21.0))
    assert "slower" not in found
    assert "Times are left out: cells ran 2 at a time." in found


def test_what_is_the_same_is_called_the_same_and_what_is_much_more_a_multiple() -> None:
    found = text_of(make_pair(9, activation_bytes=50 * MIB + 4, rss_rise_bytes=300 * MIB))
    assert "activation memory within 0.5%" in found
    assert "the same test accuracy" in found
    assert "3.00 times the peak memory increase" in found


@pytest.mark.parametrize("methods", [["noprop"], ["backprop"]])
def test_there_is_no_verdict_without_something_to_compare(methods: list[str]) -> None:
    assert text_of(view_of(make_cells(methods))) == ""


def test_a_method_without_a_shared_seed_is_judged_on_nothing() -> None:
    cells = [make_cell(seed=0), make_cell("noprop", seed=1), make_cell("other", seed=0)]
    found = text_of(view_of(cells))
    assert "`other`" in found
    assert "`noprop`" not in found
