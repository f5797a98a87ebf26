"""Ratios from rounds of pairs: what the interval covers, in one race and in many."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from reports.statistics.effect import Basis, Effect, Verdict
from reports.statistics.race import race_effects, race_ratio
from results.race import DatasetRace, MethodRace
from tests.results.test_race import make_race


def timed(label: str, ours: list[float], theirs: list[float], rounds: int = 0) -> MethodRace:
    """With as many pairs in each round; 0: it does not say."""
    return MethodRace(
        method=label,
        steps=1,
        reference_steps=1,
        seconds=ours,
        reference_seconds=theirs,
        rounds=[len(ours) // rounds] * rounds if rounds else [],
    )


def race_of(*ratios: float, pairs: int = 20) -> DatasetRace:
    chance = random.Random(0)
    methods = []
    for number, ratio in enumerate(ratios):
        theirs = [0.1 * chance.lognormvariate(0, 0.5) for _ in range(pairs)]
        ours = [each * ratio * chance.lognormvariate(0, 0.02) for each in theirs]
        ours[3] *= 50  # a turn that the machine disturbed
        methods.append(timed(f"m{number}", ours, theirs))
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
    interval = effects_of(timed("m", ours, theirs))["m"].alone
    assert interval is not None
    assert -0.02 < interval.low < 0 < interval.high < 0.02


def test_with_too_few_pairs_nothing_is_decided() -> None:
    effect = race_effects(race_of(2.0, pairs=4))["m0"]
    assert (effect.alone, effect.family) == (None, None)
    assert effect.verdict(0.05, higher_is_better=False) is Verdict.UNDECIDED


def effects_of(*methods: MethodRace) -> dict[str, Effect]:
    return race_effects(make_race(methods=[*methods], failed={}).datasets[0])


def simulated(
    chance: np.random.Generator, methods: int, *, rounds: int, own: float, process: float, spreads: tuple[float, ...]
) -> dict[str, Effect]:
    """Equal methods: pairs with heavy tails, and a speed that each round has of its own."""
    found = []
    for number in range(methods):
        spread = spreads[number % len(spreads)]
        pairs = spread * (own * chance.standard_t(4, size=(rounds, 4)) + process * chance.standard_normal((rounds, 1)))
        found.append(timed(f"m{number}", np.exp(pairs).ravel().tolist(), [1.0] * pairs.size, rounds))
    return effects_of(*found)


RACES = 400


@pytest.mark.parametrize("methods", [1, 3, 7, 14])
@pytest.mark.parametrize(("own", "process"), [(0.1, 0.0), (0.05, 0.05), (0.02, 0.1)])
def test_the_interval_holds_the_ratio_and_equal_methods_are_seldom_told_apart(
    methods: int, own: float, process: float
) -> None:
    """In 95% of races, whether pairs or processes differ more; in at most 5% any is told apart. Both but for chance."""
    chance = np.random.default_rng(methods)
    held = count = told = 0
    for _ in range(RACES):
        effects = simulated(chance, methods, rounds=8, own=own, process=process, spreads=(1.0,)).values()
        for effect in effects:
            assert effect.alone is not None
            held += effect.alone.low <= 0 <= effect.alone.high
            count += 1
            assert effect.family is not None
            assert effect.family.low <= effect.alone.low <= effect.alone.high <= effect.family.high
        told += any(effect.family is not None and effect.family.excludes_zero() for effect in effects)
    assert held / count == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / count))
    assert told / RACES <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RACES)


def test_a_method_that_the_machine_disturbs_more_than_others_has_its_own_noise() -> None:
    """Three times as much."""
    chance = np.random.default_rng(0)
    held = 0
    for _ in range(RACES):
        effects = simulated(chance, 7, rounds=8, own=0.03, process=0.03, spreads=(3.0, *[1.0] * 6))
        interval = effects["m0"].alone
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    assert held / RACES == pytest.approx(0.95, abs=0.033)


def test_a_speed_that_processes_have_of_their_own_is_in_the_interval() -> None:
    """Pairs within a round agree to a tenth of a percent, the rounds differ by 3%: so does the next race."""
    noise = random.Random(0)
    rounds = [noise.gauss(0, 0.03) for _ in range(8)]
    ours = [math.exp(each + noise.gauss(0, 0.001)) for each in rounds for _ in range(10)]
    interval = effects_of(timed("m", ours, [1.0] * 80, rounds=8))["m"].alone
    assert interval is not None
    assert interval.low < 0 < interval.high
    assert interval.high - interval.low > 0.02


def test_inferences_of_one_training_are_one_comparison() -> None:
    noise = random.Random(0)
    ours = [noise.lognormvariate(0, 0.05) for _ in range(40)]
    alone = effects_of(timed("m", ours, [1.0] * 40, rounds=8))["m"]
    shared = effects_of(*(timed(f"m[samples={k}]", ours, [1.0] * 40, rounds=8) for k in range(1, 4)))
    assert {(each.alone, each.family) for each in shared.values()} == {(alone.alone, alone.family)}
    assert alone.family == alone.alone


def test_the_ratio_is_that_of_the_interval() -> None:
    noise = random.Random(0)
    race = timed("m", [2 * noise.lognormvariate(0, 0.05) for _ in range(40)], [1.0] * 40, rounds=8)
    assert race_ratio(race) == pytest.approx(2, rel=0.02)
    assert math.log(race_ratio(race)) == pytest.approx(effects_of(race)["m"].value)
