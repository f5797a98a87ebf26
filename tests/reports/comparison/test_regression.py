"""The rule by which a check is called a regression; `tests/reports/statistics` has how often its bounds are wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from reports.comparison.pairing import Pair
from reports.comparison.regression import GROSS, MEASURES, Check, Limits, Status, check
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from results.schema import CalibrationRecord, CellResult
from tests.factories import MIB, make_calibration, make_cell, make_environment, make_machine


def made(measure: Measure, old: Iterable[float], new: Iterable[float], method: str = "backprop", **cell: Any) -> Pair:
    """A pair that differs in one measure; values in the measure's unit."""
    base = {"train_seconds": 10.0, "rss_rise_bytes": 100 * MIB, "activation_bytes": 50 * MIB, "test_accuracy": 0.9}

    def run(values: Iterable[float]) -> tuple[CellResult, ...]:
        whole = measure.field.endswith("_bytes")
        stored = (value * measure.scale for value in values)
        return tuple(
            make_cell(method, seed=seed, **(base | {measure.field: int(value) if whole else value} | cell))
            for seed, value in enumerate(stored)
        )

    return Pair("mnist", method, run(old), run(new), obstacles={})


def check_of(pair: Pair, measure: Measure, limits: Limits | None = None) -> Check:
    (found,) = (each for each in check([pair], limits or Limits()) if each.measure is measure)
    return found


JUDGED = [
    # What is known exactly needs no seeds; equal is equal.
    (ACTIVATIONS, [50.0], [50.0], Status.SAME),
    (ACTIVATIONS, [50.0], [52.0], Status.WORSE),
    (ACTIVATIONS, [50.0], [49.0], Status.BETTER),
    (ACTIVATIONS, [50.0], [53.0], Status.REGRESSION),
    (ACTIVATIONS, [50.0, 50.0], [50.0, 53.0], Status.REGRESSION),
    (ACTIVATIONS, [0.0], [1.0], Status.REGRESSION),
    (ACTIVATIONS, [0.0], [0.0], Status.SAME),
    # The limit itself is not past the limit.
    (ACTIVATIONS, [100.0], [105.0], Status.WORSE),
    (TEST_ACCURACY, [99.0], [98.0], Status.WITHIN),
    (TRAIN_SECONDS, [10.0], [11.0], Status.WITHIN),
    # One seed: the limit alone.
    (TEST_ACCURACY, [99.0], [97.9], Status.REGRESSION),
    (TEST_ACCURACY, [97.0], [99.0], Status.WITHIN),
    (TRAIN_SECONDS, [10.0], [11.1], Status.REGRESSION),
    (GPU_ALLOCATED, [10.0], [10.6], Status.REGRESSION),
    # Several: past the limit and more than chance.
    (TEST_ACCURACY, [98.0, 98.2, 97.9], [94.0, 94.1, 94.3], Status.REGRESSION),
    (TEST_ACCURACY, [94.0, 94.1, 94.3], [98.0, 98.2, 97.9], Status.BETTER),
    (TEST_ACCURACY, [98.00, 98.02, 98.01], [97.5, 97.51, 97.49], Status.WORSE),
    (TEST_ACCURACY, [90.0, 98.0, 94.0], [94.0, 90.0, 90.0], Status.UNCLEAR),
    (TEST_ACCURACY, [90.0, 98.0, 94.0], [94.0, 97.0, 90.1], Status.WITHIN),
    (TRAIN_SECONDS, [10.0, 10.1, 9.9], [12.0, 12.1, 12.2], Status.REGRESSION),
    (TRAIN_SECONDS, [10.0, 14.0, 9.0], [14.0, 12.0, 12.0], Status.UNCLEAR),
    (RSS_RISE, [100.0, 101.0, 102.0], [80.0, 81.0, 82.0], Status.BETTER),
    (GPU_ALLOCATED, [100.0, 100.0], [106.0, 106.0], Status.REGRESSION),
    # Training that broke down, once more than once: no test can show it, and nobody needs one.
    (TEST_ACCURACY, [98.0, 99.0], [10.0, 60.0], Status.REGRESSION),
    (TEST_ACCURACY, [98.0, 99.0], [10.0, 90.0], Status.UNCLEAR),
    (TRAIN_SECONDS, [10.0, 11.0], [25.0, 90.0], Status.REGRESSION),
]


@pytest.mark.parametrize(("measure", "old", "new", "status"), JUDGED)
def test_status(measure: Measure, old: list[float], new: list[float], status: Status) -> None:
    assert check_of(made(measure, old, new), measure).status is status


def runs_of(seconds: dict[str, tuple[list[float], list[float]]], **cell: Any) -> list[Pair]:
    """Methods by their training times in both runs."""

    def cells(method: str, times: list[float]) -> tuple[CellResult, ...]:
        return tuple(make_cell(method, seed=seed, train_seconds=time, **cell) for seed, time in enumerate(times))

    return [Pair("mnist", method, cells(method, old), cells(method, new), {}) for method, (old, new) in seconds.items()]


def times_of(pairs: list[Pair], calibration: CalibrationRecord | None = None) -> list[Check]:
    return [each for each in check(pairs, Limits(), calibration) if each.measure is TRAIN_SECONDS]


STEADY = {f"m{k}": ([10.0, 10.2, 9.9], [10.4, 9.9, 10.0]) for k in range(6)}


def test_the_noise_of_all_methods_shows_a_change_of_one_that_its_own_seeds_would_not() -> None:
    slower = ([10.0, 10.0, 10.0], [10.5, 11.85, 11.3])
    assert [each.status for each in times_of(runs_of({"a": slower}))] == [Status.UNCLEAR]
    found = times_of(runs_of({"a": slower, **STEADY}))
    assert [each.status for each in found] == [Status.REGRESSION, *[Status.WITHIN] * 6]


def test_a_change_of_all_methods_alike_is_found() -> None:
    slower = {name: (old, [1.3 * value for value in new]) for name, (old, new) in STEADY.items()}
    assert {each.status for each in times_of(runs_of(slower))} == {Status.REGRESSION}


def test_a_cell_that_stands_out_does_not_count_and_is_named() -> None:
    first, *others = times_of(runs_of({"a": ([10.0, 10.1, 9.9], [10.0, 55.0, 10.0]), **STEADY}))
    assert (first.status, first.left_out, sorted(first.old)) == (Status.WITHIN, (1,), [0, 2])
    assert not any(each.left_out for each in others)


def test_time_is_not_judged_where_others_disturbed_every_cell() -> None:
    loud = {"machine": make_machine(foreign_cores=4.0)}  # of 8
    pairs = [*runs_of({"a": ([10.0, 10.0], [50.0, 50.0])}, **loud), *runs_of(STEADY)]
    first, *others = times_of(pairs)
    assert first.status is Status.NOT_JUDGED
    assert "others took more than 5% of the cores" in first.reason
    assert {each.status for each in others} == {Status.WITHIN}
    assert check_of(pairs[0], RSS_RISE).status is Status.SAME


def test_a_calibration_tells_what_one_seed_cannot() -> None:
    slower = runs_of({"backprop": ([10.0], [11.5])})
    noisy, steady = (make_calibration(spread={"train_seconds": spread}) for spread in (0.08, 0.02))
    assert [each.status for each in times_of(slower, noisy)] == [Status.UNCLEAR]
    for calibration in (
        None,
        steady,
        make_calibration(spread={"rss_rise_bytes": 0.08}),
        make_calibration(spread={"train_seconds": 0.08}, environment=make_environment(cpu="another")),
    ):
        assert [each.status for each in times_of(slower, calibration)] == [Status.REGRESSION]


@pytest.mark.parametrize(
    ("measure", "new", "limits"),
    [
        (TEST_ACCURACY, 88.0, Limits(accuracy_drop=3.0)),
        (TRAIN_SECONDS, 108.0, Limits(slowdown=25.0)),
        (RSS_RISE, 108.0, Limits(memory=10.0)),
        (ACTIVATIONS, 108.0, Limits(memory=10.0)),
        (GPU_ALLOCATED, 108.0, Limits(memory=10.0)),
    ],
    ids=lambda value: value.field if isinstance(value, Measure) else "",
)
def test_each_limit_is_of_its_measures_alone(measure: Measure, new: float, limits: Limits) -> None:
    pair = made(measure, [90.0 if measure is TEST_ACCURACY else 100.0], [new])
    assert check_of(pair, measure, limits).status is not Status.REGRESSION
    strict = Limits(0.0, 0.0, 0.0)
    assert check_of(pair, measure, strict).status is Status.REGRESSION
    failed = [each.measure for each in check([pair], strict) if each.status is Status.REGRESSION]
    assert failed == [measure]


def test_a_larger_limit_than_what_is_gross_still_counts() -> None:
    pair = made(TRAIN_SECONDS, [10.0, 11.0], [25.0, 60.0])
    assert check_of(pair, TRAIN_SECONDS).status is Status.REGRESSION
    assert check_of(pair, TRAIN_SECONDS, Limits(slowdown=1000.0)).status is not Status.REGRESSION
    assert set(GROSS) == {measure for measure in MEASURES if not measure.exact}


def test_methods_of_a_data_set_are_corrected_for_together() -> None:
    """Their spreads are alike, so that one more borrows nothing."""
    pairs = [
        made(TEST_ACCURACY, [98.0, 98.2, 97.9], [96.4, 97.3, 96.9], method=method) for method in ("a", "b", "c", "d")
    ]
    alone, (among, *_) = check_of(pairs[0], TEST_ACCURACY), check(pairs, Limits())
    assert alone.effect is not None
    assert among.effect is not None
    assert alone.effect.alone == among.effect.alone
    assert alone.effect.family is not None
    assert among.effect.family is not None
    assert among.effect.family.high > alone.effect.family.high


def test_nothing_is_judged_behind_an_obstacle() -> None:
    pair = made(TRAIN_SECONDS, [10.0], [90.0])
    blocked = Pair(pair.dataset, pair.method, pair.old, pair.new, {"train_seconds": "threads: 2 against 4"})
    each = check_of(blocked, TRAIN_SECONDS)
    assert (each.status, each.reason, each.effect) == (Status.NOT_JUDGED, "threads: 2 against 4", None)
    assert check_of(blocked, TEST_ACCURACY).status is Status.SAME


def test_a_measure_that_the_new_run_lacks_is_a_failure_and_one_that_the_old_lacks_is_not() -> None:
    cells = [make_cell(seed=seed) for seed in (0, 1)]
    without = [cells[0], cells[1].model_copy(update={"activation_bytes": None})]
    lost = check_of(Pair("mnist", "backprop", tuple(cells), tuple(without), {}), ACTIVATIONS)
    assert lost.status is Status.LOST
    nothing = [cell.model_copy(update={"activation_bytes": None}) for cell in cells]
    gained = check_of(Pair("mnist", "backprop", tuple(nothing), tuple(cells), {}), ACTIVATIONS)
    assert (gained.status, gained.reason) == (Status.NOT_JUDGED, "not measured in A")


def test_a_measure_that_neither_run_has_is_left_out() -> None:
    checks = check([made(TEST_ACCURACY, [90.0], [90.0])], Limits())
    assert GPU_ALLOCATED not in {each.measure for each in checks}
    assert len(checks) == len(MEASURES) - 1


@pytest.mark.parametrize(("old", "new"), [(0.0, 5.0), (5.0, 0.0)])
def test_a_rise_of_nothing_has_no_ratio(old: float, new: float) -> None:
    each = check_of(made(RSS_RISE, [1.0, old], [1.0, new]), RSS_RISE)
    assert each.status is Status.NOT_JUDGED
    assert "no ratio" in each.reason


def test_an_infinite_time_is_not_within_the_limit() -> None:
    each = check_of(made(TRAIN_SECONDS, [1.0, float("inf")], [1.0, float("inf")]), TRAIN_SECONDS)
    assert each.status is Status.NOT_JUDGED


def test_methods_of_all_data_sets_are_in_one_check() -> None:
    pairs = [
        Pair(dataset, method, (make_cell(method, dataset),), (make_cell(method, dataset),), {})
        for dataset, method in itertools.product(("mnist", "digits"), ("backprop", "noprop"))
    ]
    checks = check(pairs, Limits())
    assert {each.status for each in checks} == {Status.SAME}
    assert list(dict.fromkeys(each.key for each in checks)) == [(pair.dataset, pair.method) for pair in pairs]
