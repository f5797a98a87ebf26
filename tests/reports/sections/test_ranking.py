"""Places: what they claim where the truth is known, what leaves them open, and where there are none."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from reports.build import build_report
from reports.sections.ranking import section
from reports.statistics.measures import ACTIVATIONS, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.ranking import Place
from reports.statistics.ranking import places as places_of
from reports.view import RunView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_calibration, make_cell, make_failed_cell, make_run, write_run

INSIDE, WHOLE = "gradients inside a block", "gradients through the whole network"


def view_of(cells: list[CellResult], **of_run: object) -> RunView:
    return arrange(make_run(cells, **of_run), cells)


def places(run: RunView, measure: Measure) -> dict[str, Place]:
    return places_of(run.datasets[0], measure)


def cells_of(seeds: int, **methods: tuple[float, float]) -> list[CellResult]:
    """Cells of methods by (test accuracy, training seconds): all seeds alike but for a common shift."""
    return [
        make_cell(method, seed=seed, credit=WHOLE, test_accuracy=accuracy + 0.001 * seed, train_seconds=seconds + seed)
        for seed in range(seeds)
        for method, (accuracy, seconds) in methods.items()
    ]


def text_of(run: RunView) -> str:
    return section(run, run.datasets[0]) or ""


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[entry.strip() for entry in line.strip("|").split("|")] for line in lines]


def test_enough_seeds_settle_every_place_and_better_means_more_accuracy_and_less_time() -> None:
    data = view_of(cells_of(9, backprop=(0.90, 20.0), noprop=(0.95, 30.0), forward=(0.80, 10.0)))
    assert places(data, TEST_ACCURACY) == {
        "noprop": Place(1, 1, 1),
        "backprop": Place(2, 2, 2),
        "forward": Place(3, 3, 3),
    }
    assert places(data, TRAIN_SECONDS) == {
        "forward": Place(1, 1, 1),
        "backprop": Place(2, 2, 2),
        "noprop": Place(3, 3, 3),
    }
    assert "overlap" in text_of(data)


def test_methods_that_the_seeds_do_not_tell_apart_share_their_range() -> None:
    cells = cells_of(9, noprop=(0.80, 30.0))
    for seed in range(9):
        near = 0.95 + 0.002 * (-1) ** seed  # above the other one as often as below
        cells += [make_cell("backprop", seed=seed, test_accuracy=0.95), make_cell("a", seed=seed, test_accuracy=near)]
    found = places(view_of(cells), TEST_ACCURACY)
    assert found == {"a": Place(1, 1, 2), "backprop": Place(2, 1, 2), "noprop": Place(3, 3, 3)}


def test_ranges_rarely_miss_where_methods_do_not_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels does it in every call: most of this test's time
    chance, template = np.random.default_rng(0), make_cell(epochs=1)
    misses = []
    for _ in range(500):
        cells = [
            template.model_copy(update={"method": method, "seed": seed, "test_accuracy": 0.9 + 0.005 * chance.normal()})
            for method in "abc"
            for seed in range(8)
        ]
        misses.append(
            any((place.first, place.last) != (1, 3) for place in places(view_of(cells), TEST_ACCURACY).values())
        )
    assert np.mean(misses) <= 0.05


@pytest.mark.parametrize("seeds", [1, 3])
def test_few_seeds_leave_every_place_open_and_the_text_says_how_many_would_do(seeds: int) -> None:
    data = view_of(cells_of(seeds, backprop=(0.9, 20.0), noprop=(0.1, 30.0), forward=(0.8, 10.0)))
    found = text_of(data)
    assert [row[0] for row in rows(found)] == ["`backprop`", "`forward`", "`noprop`"]
    assert [row[2] for row in rows(found)] == ["1 (1–3)", "2 (1–3)", "3 (1–3)"]
    assert "cannot tell any two of 3 methods apart, however large the difference (7 seeds could)" in found
    assert found.count(f"{seeds} seed") == 1


def test_enough_seeds_that_show_nothing_are_not_called_too_few() -> None:
    cells = [make_cell(method, seed=seed, credit=WHOLE, epochs=1) for method in "ab" for seed in range(9)]
    same = {"test_accuracy": 0.9, "train_seconds": 9.0, "rss_rise_bytes": MIB}
    assert "No two methods are told apart here" in text_of(view_of([cell.model_copy(update=same) for cell in cells]))


def test_what_is_counted_exactly_needs_no_seeds_and_equals_share_a_place() -> None:
    held = {"backprop": 50, "noprop": 5, "a": 5, "b": 9}
    data = view_of([make_cell(method, activation_bytes=mib * MIB) for method, mib in held.items()])
    assert {method: place.by_mean for method, place in places(data, ACTIVATIONS).items()} == {
        "noprop": 1,
        "a": 1,
        "b": 3,
        "backprop": 4,
    }
    assert all(place.first == place.last == place.by_mean for place in places(data, ACTIVATIONS).values())


def test_a_difference_within_the_machine_s_noise_settles_nothing() -> None:
    cells = [
        make_cell(method, seed=seed, train_seconds=s) for method, s in (("a", 10.0), ("b", 10.1)) for seed in range(9)
    ]
    assert places(view_of(cells), TRAIN_SECONDS)["b"] == Place(2, 2, 2)
    noisy = view_of(cells, calibration=make_calibration(spread={"train_seconds": 0.05}))
    assert places(noisy, TRAIN_SECONDS)["b"] == Place(2, 1, 2)


def test_failed_cells_are_in_no_mean_and_a_method_without_any_other_is_named() -> None:
    cells = cells_of(9, backprop=(0.9, 20.0), noprop=(0.8, 30.0))
    cells[1] = make_failed_cell("noprop", seed=0)
    cells.append(make_failed_cell("forward", seed=0))
    data = view_of(cells)
    assert places(data, TEST_ACCURACY) == {"backprop": Place(1, 1, 1), "noprop": Place(2, 2, 2)}
    assert "so without a place: `forward`." in text_of(data)


def test_a_range_holds_the_place_by_mean_where_methods_finished_other_seeds() -> None:
    """On the seeds that both finished a is better every time; b also finished easy ones."""
    cells = [make_cell(method, seed=k, test_accuracy=x) for method, x in (("a", 0.6), ("b", 0.5)) for k in range(9)]
    cells += [make_cell("b", seed=seed, test_accuracy=0.99) for seed in range(9, 20)]
    assert places(view_of(cells), TEST_ACCURACY) == {"a": Place(2, 1, 2), "b": Place(1, 1, 2)}


def test_times_of_cells_side_by_side_have_no_places() -> None:
    cells = cells_of(2, backprop=(0.9, 20.0), noprop=(0.8, 30.0))
    assert "in training time" in text_of(view_of(cells))
    found = text_of(view_of(cells, jobs=2))
    assert "in training time" not in found
    assert "Times are left out: cells ran 2 at a time." in found


def test_memory_is_that_of_the_card_where_there_is_one() -> None:
    cells = [make_cell(method, credit=WHOLE, gpu_peak_allocated_bytes=MIB) for method in ("backprop", "noprop")]
    assert "in peak GPU memory" in text_of(view_of(cells))
    assert "in peak memory increase" not in text_of(view_of(cells))


def test_a_method_without_a_figure_has_a_dash_and_comes_last() -> None:
    bare = make_cell("bare", credit=WHOLE).model_copy(update={"test_accuracy": None, "activation_bytes": None})
    last = rows(text_of(view_of([bare, *cells_of(1, backprop=(0.9, 20.0), noprop=(0.8, 30.0))])))[-1]
    assert (last[0], last[2], last[5]) == ("`bare`", "–", "–")
    assert places(view_of([bare]), RSS_RISE) == {"bare": Place(1, 1, 1)}


def test_each_method_is_told_with_how_credit_reaches_its_weights() -> None:
    cells = [make_cell("backprop", credit=WHOLE), make_cell("noprop", credit=INSIDE), make_cell("forward")]
    assert {row[0]: row[1] for row in rows(text_of(view_of(cells)))} == {
        "`backprop`": WHOLE,
        "`noprop`": INSIDE,
        "`forward`": "unstated",
    }


@pytest.mark.parametrize(
    "cells",
    [
        [make_cell(credit=WHOLE)],
        [make_cell(), make_cell("noprop")],
        [make_cell(credit=WHOLE), make_failed_cell("noprop")],
    ],
    ids=["one method", "rows that say nothing of credit", "one method that finished"],
)
def test_there_is_no_ranking_without_two_methods_whose_credit_is_known(cells: list[CellResult]) -> None:
    assert text_of(view_of(cells)) == ""


def test_a_whole_report_says_everywhere_where_cells_ran_that_have_no_times_to_compare(tmp_path: Path) -> None:
    """In the verdict, the ranking and the picture of accuracy against cost: the same reason, and the true one."""
    cells = [
        cell.model_copy(update={"launcher": "ray", "node": "n1"})
        for cell in cells_of(7, backprop=(0.9, 20.0), noprop=(0.8, 30.0))
    ]
    report = build_report(write_run(tmp_path / "run", cells, make_run(cells, launcher="ray"))).read_text()
    assert report.count("Times are left out: cells ran where Ray put them, on 1 machine.") == 2
    assert "No front is drawn in time, since cells ran where Ray put them, on 1 machine." in report
