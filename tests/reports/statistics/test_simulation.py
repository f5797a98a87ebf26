"""Verdicts where the truth is known: false alarms, coverage, false equivalence and power, by simulation.

Fewer runs than the table in `reports/README.md`, so the bounds allow for four standard errors of what is counted.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from reports.statistics.race_simulation import EQUAL, UNEQUAL
from reports.statistics.rates import Rates
from reports.statistics.simulation import NOTHING, SOMETHING, Case, Noise, simulate

RUNS = 60


def allowed(rate: float, runs: int = RUNS) -> float:
    """The count that chance exceeds once in some ten thousand times."""
    return rate * runs + 4 * math.sqrt(rate * (1 - rate) * runs)


def holds(rates: Rates) -> None:
    assert rates.false_alarms <= allowed(0.05, rates.runs)
    independent = math.sqrt(0.95 * 0.05 * rates.runs / rates.intervals)
    error = 4 * max(float(np.std(rates.coverage_by_run)), independent) / math.sqrt(rates.runs)
    assert 0.93 - error <= rates.coverage <= 0.97 + error


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy-tailed"])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("methods", [2, 6, 15])
def test_costs_raise_few_false_alarms_and_their_intervals_hold(methods: int, seeds: int, noise: Noise) -> None:
    holds(simulate(Case("cost", methods, seeds, noise, sd=0.1), RUNS))


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("methods", [6, 15])
def test_a_disturbed_cell_changes_nothing_of_that(methods: int, seeds: int) -> None:
    holds(simulate(Case("cost", methods, seeds, sd=0.1, disturbed=1), RUNS))


@pytest.mark.parametrize("methods", [2, 15])
@pytest.mark.parametrize("seeds", [2, 3])
def test_a_disturbed_cell_among_too_few_to_tell_raises_no_more_false_alarms(methods: int, seeds: int) -> None:
    rates = simulate(Case("cost", methods, seeds, sd=0.1, disturbed=1), RUNS)
    assert rates.false_alarms <= allowed(0.05)


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy-tailed"])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("methods", [2, 6])
def test_accuracies_raise_few_false_alarms_and_their_intervals_hold(
    methods: int, seeds: int, noise: Noise, unequal: bool
) -> None:
    holds(simulate(Case("accuracy", methods, seeds, noise, unequal=unequal, images=400), RUNS))


@pytest.mark.parametrize("methods", [2, 6, 15])
def test_large_effects_are_found_at_three_seeds(methods: int) -> None:
    runs = 40
    ratio = simulate(Case("cost", methods, 3, sd=0.1, effect=math.log(2)), runs)
    gap = simulate(Case("accuracy", methods, 3, effect=-5.0, images=10_000), runs)
    missed = allowed(0.05, runs)
    assert runs - ratio.called <= missed
    assert runs - gap.called <= missed


@pytest.mark.parametrize("methods", [6, 12])
def test_a_ratio_of_1_3_is_found_at_five_seeds(methods: int) -> None:
    rates = simulate(Case("cost", methods, 5, sd=0.1, effect=math.log(1.3)), RUNS)
    assert RUNS - rates.called <= allowed(0.15)


@pytest.mark.parametrize("methods", [2, 6])
def test_a_difference_of_the_margin_is_seldom_called_equivalent(methods: int) -> None:
    cost = simulate(Case("cost", methods, 5, sd=0.01, effect=math.log(1.05)), RUNS)
    gap = simulate(Case("accuracy", methods, 5, effect=-0.5, sd=0.1, images=2_000), RUNS)
    assert cost.equivalent <= allowed(0.05)
    assert gap.equivalent <= allowed(0.05)


def test_a_tiny_difference_is_called_equivalent_where_much_is_known() -> None:
    rates = simulate(Case("cost", 6, 5, sd=0.005, effect=math.log(1.01)), RUNS)
    assert rates.equivalent >= RUNS - allowed(0.05)


@pytest.mark.parametrize("noise", ["normal", "skewed"])
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("methods", [2, 12])
def test_two_runs_of_the_same_rarely_have_a_regression(methods: int, seeds: int, noise: Noise) -> None:
    holds(simulate(Case("cost", methods, seeds, noise, sd=0.1, two_runs=True), RUNS))
    unequal = Case("accuracy", methods, seeds, noise, unequal=True, images=400, two_runs=True)
    assert simulate(unequal, RUNS).false_alarms <= allowed(0.05)


def test_a_new_run_that_is_1_3_times_slower_is_found_at_three_seeds() -> None:
    slower = Case("cost", 12, 3, sd=0.1, effect=math.log(1.3), two_runs=True, alike=True)
    assert RUNS - simulate(slower, RUNS).called <= allowed(0.15)


def test_a_single_method_that_is_1_3_times_slower_is_found_at_five_seeds() -> None:
    slower = Case("cost", 12, 5, sd=0.1, effect=math.log(1.3), two_runs=True)
    assert RUNS - simulate(slower, RUNS).called <= allowed(0.15)


def test_the_readme_s_table_has_every_case_that_the_command_simulates() -> None:
    text = (Path(__file__).parents[3] / "reports" / "README.md").read_text(encoding="utf-8")
    cases = (*NOTHING, *SOMETHING, *EQUAL, *UNEQUAL)
    assert [case for case in cases if f"\n| {case} | " not in text] == []
