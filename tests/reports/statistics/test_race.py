"""Ratios from pairs of turns: the median's interval against the binomial distribution, and the family's."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from reports.statistics.effect import Basis, Interval, Verdict
from reports.statistics.race import correlation_time, median_intervals, race_effects
from results.race import DatasetRace, MethodRace
from tests.results.test_race import make_race


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (20, 6), (50, 18), (100, 40)])
def test_the_ranks_are_those_of_the_tables(n: int, rank: int) -> None:
    """The sign test's interval, 95%: for instance ranks 6 and 15 of 20 (coverage 95.9%)."""
    values = [float(value) for value in range(1, n + 1)]
    random.Random(0).shuffle(values)
    assert median_intervals(values) == [Interval(rank, n + 1 - rank)]


def test_five_values_are_too_few() -> None:
    assert median_intervals([1.0, 2.0, 3.0, 4.0, 5.0]) == [None]


def race_of(*ratios: float, pairs: int = 20) -> DatasetRace:
    chance = random.Random(0)
    methods = []
    for number, ratio in enumerate(ratios):
        theirs = [0.1 * chance.lognormvariate(0, 0.5) for _ in range(pairs)]
        ours = [each * ratio * chance.lognormvariate(0, 0.02) for each in theirs]
        ours[3] *= 50  # a turn that the machine disturbed
        named = MethodRace(method=f"m{number}", steps=1, reference_steps=1, seconds=ours, reference_seconds=theirs)
        methods.append(named)
    return make_race(methods=methods, failed={}).datasets[0]


def test_a_ratio_is_found_though_the_machine_drifts_and_the_family_is_wider() -> None:
    effects = race_effects(race_of(1.3, 1.0, 0.5))
    assert list(effects) == ["m0", "m1", "m2"]
    for effect, ratio in zip(effects.values(), (1.3, 1.0, 0.5), strict=True):
        assert effect.basis is Basis.STEPS
        assert effect.value == pytest.approx(math.log(ratio), abs=0.02)
        assert effect.alone is not None
        assert effect.family is not None
        assert effect.family.low < effect.alone.low < math.log(ratio) < effect.alone.high < effect.family.high
    verdicts = [effect.verdict(math.log(1.05), higher_is_better=False) for effect in effects.values()]
    assert verdicts == [Verdict.WORSE, Verdict.EQUIVALENT, Verdict.BETTER]


def test_what_the_order_of_a_pair_changes_cancels() -> None:
    """A turn that follows one of the same method is 30% faster, as with threads that wait and warm caches."""
    chance = random.Random(1)
    ours, theirs = ([chance.lognormvariate(0, 0.01) for _ in range(20)] for _ in range(2))
    for pair in range(20):
        (ours if pair % 2 == 0 else theirs)[pair] *= 0.7
    timed = MethodRace(method="m", steps=1, reference_steps=1, seconds=ours, reference_seconds=theirs)
    interval = race_effects(make_race(methods=[timed], failed={}).datasets[0])["m"].alone
    assert interval is not None
    assert -0.02 < interval.low < 0 < interval.high < 0.02


def test_with_too_few_pairs_nothing_is_decided() -> None:
    effect = race_effects(race_of(2.0, pairs=4))["m0"]
    assert (effect.alone, effect.family) == (None, None)
    assert effect.verdict(0.05, higher_is_better=False) is Verdict.UNDECIDED


def alike(chance: np.random.Generator, pairs: int, same: float) -> np.ndarray:
    """Noise of pairs in a row: each is the one before it again with that probability, otherwise a new draw."""
    values = chance.standard_t(4, size=pairs)
    for pair in range(1, pairs):
        if chance.random() < same:
            values[pair] = values[pair - 1]
    return values


@pytest.mark.parametrize(("same", "time"), [(0.0, 1.0), (0.5, 3.0)])
def test_the_correlation_time_is_that_of_the_process(same: float, time: float) -> None:
    """With autocorrelations same^k it is (1 + same) / (1 - same)."""
    assert correlation_time(alike(np.random.default_rng(0), 20_000, same)) == pytest.approx(time, rel=0.3)


@pytest.mark.parametrize("pairs", [20, 60, 120])
@pytest.mark.parametrize(("same", "covered"), [(0.0, 0.94), (0.5, 0.92)])
def test_the_interval_holds_the_ratio_also_where_pairs_in_a_row_are_alike(
    pairs: int, same: float, covered: float
) -> None:
    chance = np.random.default_rng(0)
    held = plain = 0
    for _ in range(1_000):
        values = alike(chance, pairs, same)
        (interval,) = median_intervals(values, correlation=correlation_time(values))
        (taken,) = median_intervals(values)
        assert interval is not None
        assert taken is not None
        held += interval.low <= 0 <= interval.high
        plain += taken.low <= 0 <= taken.high
    assert held / 1_000 >= covered
    assert same == 0 or plain / 1_000 < 0.85


@pytest.mark.parametrize(
    ("pairs", "same", "wrong"), [(20, 0.0, 0.05), (20, 0.4, 0.07), (40, 0.5, 0.07), (60, 0.6, 0.1)]
)
def test_a_family_of_equal_methods_is_seldom_told_apart(pairs: int, same: float, wrong: float) -> None:
    """Any of six methods better or worse, or an interval of the family inside the method's own: in so many races."""
    chance = np.random.default_rng(0)
    errors = 0
    for _ in range(300):
        told = False
        for _ in range(6):
            values = alike(chance, pairs, same)
            alone, family = median_intervals(values, (0.95, 1 - 0.05 / 6), correlation_time(values))
            assert alone is not None
            assert family is not None
            assert family.low <= alone.low <= alone.high <= family.high
            told |= not family.low <= 0 <= family.high
        errors += told
    assert errors / 300 <= wrong


def test_a_tenth_of_the_time_is_seen_in_few_pairs_that_are_alike() -> None:
    """Twenty pairs in four stretches say what four would, too few for ranks; the ratio is far from 1 all the same."""
    noise = random.Random(0)
    ours = [0.1 * math.exp(0.02 * (1 if pair // 5 % 2 else -1) + noise.gauss(0, 0.001)) for pair in range(20)]
    timed = [
        MethodRace(
            method=f"m{k}",
            steps=1,
            reference_steps=1,
            seconds=[s * 1.0001**k for s in ours],
            reference_seconds=[1.0] * 20,
        )
        for k in range(14)
    ]
    effect = race_effects(make_race(methods=timed, failed={}).datasets[0])["m0"]
    assert 20 / correlation_time(np.log(ours)) < 9  # at this family of 14, ranks take nine
    assert effect.verdict(math.log(1.05), higher_is_better=False) is Verdict.BETTER
    assert effect.alone is not None
    assert effect.alone.low < math.log(0.1) < effect.alone.high
