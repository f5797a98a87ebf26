"""The rule by which a each is called a regression: how often it is wrong where the truth is known, and its parts."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from reports.comparison.pairing import Pair
from reports.comparison.regression import GROSS, MEASURES, Check, Limits, Status, check
from reports.statistics.estimates import estimate
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.tests import two_sample_p
from results.schema import CellResult
from tests.factories import MIB, make_calibration, make_cell, make_data, make_environment

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

METHODS = [
    # mean test accuracy and its SD over seeds in points, SD of the logarithm of seconds and of resident memory
    (98.8, 0.6, 0.02, 0.005),
    (98.8, 0.6, 0.07, 0.018),
    (99.1, 0.7, 0.12, 0.007),
    (97.9, 0.2, 0.05, 0.025),
    (87.9, 6.7, 0.16, 0.022),
    (45.7, 9.0, 0.09, 0.023),
    (93.5, 1.5, 0.13, 0.013),
    (99.2, 0.3, 0.11, 0.006),
]
"""As they are seen after 20 epochs of digits, with 359 test images."""
N_TEST = 359
TEMPLATE = make_cell(data=make_data(n_test=N_TEST))
NORMAL: Noise = lambda chance, shape: chance.normal(size=shape)  # noqa: E731
HEAVY: Noise = lambda chance, shape: chance.standard_t(3, size=shape) / np.sqrt(3)  # noqa: E731
SKEWED: Noise = lambda chance, shape: chance.exponential(size=shape) - 1  # noqa: E731


@pytest.fixture
def quick_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels does it in every call: most of a simulation's time


def pairs_of(
    chance: np.random.Generator, seeds: int, noise: Noise, methods: Sequence[int] = range(8), **worse: float
) -> list[Pair]:
    """Methods in two runs. `worse`: points, and factors of time and memory, by which the second is worse."""
    found = []
    for number in methods:
        accuracy, points, time, memory = METHODS[number]
        runs = []
        for factor in (0, 1):
            z = noise(chance, (3, seeds))
            right = np.clip(accuracy + points * z[0] - factor * worse.get("points", 0.0), 0, 100) / 100
            seconds = 30 * np.exp(time * z[1]) * worse.get("time", 1.0) ** factor
            rise = 80 * MIB * np.exp(memory * z[2]) * worse.get("memory", 1.0) ** factor
            runs.append(
                tuple(
                    TEMPLATE.model_copy(
                        update={
                            "seed": seed,
                            "test_accuracy": round(right[seed] * N_TEST) / N_TEST,
                            "train_seconds": float(seconds[seed]),
                            "rss_rise_bytes": int(rise[seed]),
                        }
                    )
                    for seed in range(seeds)
                )
            )
        found.append(Pair("digits", f"method {number}", *runs, obstacles={}))
    return found


@pytest.mark.usefixtures("quick_statsmodels")
@pytest.mark.parametrize(
    ("seeds", "noise", "methods", "tables"),
    [
        (2, NORMAL, range(8), 300),
        (2, HEAVY, range(8), 200),
        (3, NORMAL, range(8), 300),
        (3, SKEWED, range(8), 200),
        (5, NORMAL, range(8), 200),
        (7, SKEWED, (4, 5), 200),
    ],
    ids=["2", "2, heavy tails", "3", "3, skewed", "5", "7, sign-flip test"],
)
def test_two_runs_of_the_same_rarely_have_a_regression(
    seeds: int, noise: Noise, methods: Sequence[int], tables: int
) -> None:
    chance = np.random.default_rng(seeds)
    alarms = []
    for _ in range(tables):
        checks = check(pairs_of(chance, seeds, noise, methods), Limits())
        assert len(checks) == 4 * len(methods)
        alarms.append(any(each.status is Status.REGRESSION for each in checks))
    assert np.mean(alarms) <= 0.05


@pytest.mark.usefixtures("quick_statsmodels")
def test_by_the_interval_alone_one_table_in_six_would_have_one() -> None:
    """Why the rule is not: the mean past the limit, and its own 95% interval without 'no change'."""
    chance = np.random.default_rng(0)
    alarms = []
    for _ in range(150):
        means = [(f.limit, estimate(f.losses)) for f in check(pairs_of(chance, 5, NORMAL), Limits())]
        alarms.append(any(m and m.half_width is not None and m.mean > max(limit, m.half_width) for limit, m in means))
    assert np.mean(alarms) > 0.1


@pytest.mark.usefixtures("quick_statsmodels")
@pytest.mark.parametrize(
    ("seeds", "measure", "worse"),
    [
        (2, TEST_ACCURACY, {"points": 40.0}),
        (2, TRAIN_SECONDS, {"time": 3.0}),
        (2, RSS_RISE, {"memory": 1.8}),
        (3, TEST_ACCURACY, {"points": 6.0}),
        (3, TRAIN_SECONDS, {"time": 1.7}),
        (3, RSS_RISE, {"memory": 1.3}),
        (5, TEST_ACCURACY, {"points": 3.0}),
        (5, TRAIN_SECONDS, {"time": 1.4}),
    ],
)
def test_a_regression_well_past_the_limit_is_found(seeds: int, measure: Measure, worse: dict[str, float]) -> None:
    """Among all methods, in those whose noise is of the usual kind; those with the most are left to more seeds."""
    chance = np.random.default_rng(seeds)
    usual = {"method 0", "method 1", "method 3"}
    found = [
        each.status is Status.REGRESSION
        for _ in range(20)
        for each in check(pairs_of(chance, seeds, NORMAL, **worse), Limits())
        if each.measure is measure and each.method in usual
    ]
    assert len(found) == 60
    assert np.mean(found) >= 0.9


@pytest.mark.usefixtures("quick_statsmodels")
def test_with_enough_seeds_it_is_found_in_the_most_erratic_method_too() -> None:
    chance = np.random.default_rng(0)
    worse = {"points": 25.0, "time": 1.5, "memory": 1.2}
    found = [
        each.status is Status.REGRESSION
        for _ in range(40)
        for each in check(pairs_of(chance, 8, NORMAL, (4, 5), **worse), Limits())
        if not each.measure.exact
    ]
    assert np.mean(found) >= 0.9


def made(measure: Measure, old: Iterable[float], new: Iterable[float], **cell: Any) -> Pair:
    """A pair that differs in one measure; values in the measure's unit."""
    base = {"train_seconds": 10.0, "rss_rise_bytes": 100 * MIB, "activation_bytes": 50 * MIB, "test_accuracy": 0.9}

    def run(values: Iterable[float]) -> tuple[CellResult, ...]:
        whole = measure.field.endswith("_bytes")
        stored = (value * measure.scale for value in values)
        return tuple(
            make_cell(seed=seed, **(base | {measure.field: int(value) if whole else value} | cell))
            for seed, value in enumerate(stored)
        )

    return Pair("mnist", "backprop", run(old), run(new), obstacles={})


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


def test_what_the_machine_does_by_itself_is_no_regression() -> None:
    slower = made(TRAIN_SECONDS, [10.0], [11.5])
    (known,) = (
        each.status
        for each in check([slower], Limits(), make_calibration(spread={"train_seconds": 0.08}))
        if each.measure is TRAIN_SECONDS
    )
    assert known is Status.UNCLEAR
    near = check([made(TRAIN_SECONDS, [10.0], [10.5])], Limits(), make_calibration(spread={"train_seconds": 0.08}))
    assert [each.status for each in near if each.measure is TRAIN_SECONDS] == [Status.WITHIN_NOISE]
    for calibration in (
        make_calibration(spread={"train_seconds": 0.02}),
        make_calibration(spread={"rss_rise_bytes": 0.08}),
        make_calibration(spread={"train_seconds": 0.08}, environment=make_environment(cpu="another")),
    ):
        found = [each.status for each in check([slower], Limits(), calibration) if each.measure is TRAIN_SECONDS]
        assert found == [Status.REGRESSION]


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


def test_all_tested_figures_of_the_check_are_corrected_for_together() -> None:
    pair = made(TEST_ACCURACY, [98.0, 98.2, 97.9], [96.2, 97.0, 96.6])
    alone, among = check_of(pair, TEST_ACCURACY), check([pair] * 8, Limits())[0]
    assert alone.p is not None
    assert among.p == pytest.approx(8 * alone.p)
    assert (alone.status, among.status) == (Status.REGRESSION, Status.UNCLEAR)


def test_from_enough_seeds_on_the_test_is_the_paired_one() -> None:
    """All of ten pairs differ the same way by less than seeds do: two samples would not show it."""
    old = [90.0, 99.0, 91.0, 98.0, 92.0, 97.0, 93.0, 96.0, 94.0, 95.0]
    new = [value - 1.5 - 0.1 * k for k, value in enumerate(old)]
    each = check_of(made(TEST_ACCURACY, old, new), TEST_ACCURACY)
    assert each.p == pytest.approx(3 * 2 / 2**10)
    assert each.status is Status.REGRESSION
    assert check_of(made(TEST_ACCURACY, old[:4], new[:4]), TEST_ACCURACY).status is Status.UNCLEAR


def test_nothing_is_judged_behind_an_obstacle() -> None:
    pair = made(TRAIN_SECONDS, [10.0], [90.0])
    blocked = Pair(pair.dataset, pair.method, pair.old, pair.new, {"train_seconds": "threads: 2 against 4"})
    each = check_of(blocked, TRAIN_SECONDS)
    assert (each.status, each.reason, each.p) == (Status.NOT_JUDGED, "threads: 2 against 4", None)
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


@pytest.mark.parametrize("seed", range(3))
def test_two_samples_against_scipy(seed: int) -> None:
    old, new = np.random.default_rng(seed).normal(0.3 * seed, 1.0, size=(2, 4)).tolist()
    assert two_sample_p(old, new) == pytest.approx(ttest_ind(old, new).pvalue)


def test_values_that_do_not_vary() -> None:
    assert two_sample_p([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert two_sample_p([1.0, 1.0], [1.1, 1.1]) == 0.0


def test_seeds_that_agree_to_the_image_do_not_show_that_nothing_varies() -> None:
    """Accuracies in whole images: without the resolution, two lucky pairs reject a true hypothesis too often."""
    level, chance = 0.01, np.random.default_rng(0)
    samples = np.round(chance.normal(0.0, 0.8, size=(2000, 2, 2))).tolist()
    share = {
        resolution: np.mean([two_sample_p(old, new, resolution) <= level for old, new in samples])
        for resolution in (0.0, 1.0)
    }
    assert share[1.0] <= level
    assert share[0.0] > 3 * level


def test_methods_of_all_data_sets_are_in_one_check() -> None:
    pairs = [
        Pair(dataset, method, (make_cell(method, dataset),), (make_cell(method, dataset),), {})
        for dataset, method in itertools.product(("mnist", "digits"), ("backprop", "noprop"))
    ]
    checks = check(pairs, Limits())
    assert {each.status for each in checks} == {Status.SAME}
    assert list(dict.fromkeys((each.dataset, each.method) for each in checks)) == [
        (pair.dataset, pair.method) for pair in pairs
    ]
