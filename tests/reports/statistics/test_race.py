"""Ratios from rounds of pairs: what the interval covers, in one race and in many."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from reports.statistics.effect import Basis, Verdict
from reports.statistics.race import effects_of, race_effects, race_ratio
from reports.statistics.race_simulation import EQUAL, METHODS, UNEQUAL, rates, simulate
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
    interval = effects_of([timed("m", ours, theirs)])["m"].alone
    assert interval is not None
    assert -0.02 < interval.low < 0 < interval.high < 0.02


def test_with_too_few_pairs_nothing_is_decided() -> None:
    effect = race_effects(race_of(2.0, pairs=4))["m0"]
    assert (effect.alone, effect.family) == (None, None)
    assert effect.verdict(0.05, higher_is_better=False) is Verdict.UNDECIDED


RACES = 400


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("what", EQUAL)
def test_the_interval_holds_the_ratio_and_equal_methods_are_seldom_told_apart(methods: int, what: str) -> None:
    """In 95% of races, whatever differs more; in at most 5% any method is told apart. Both but for chance."""
    found = rates(replace(EQUAL[what], methods=methods), RACES)
    assert found.coverage == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / RACES))
    assert found.covered_first / RACES == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / RACES))
    assert found.false_alarms / RACES <= 0.05 + 3 * math.sqrt(0.95 * 0.05 / RACES)


@pytest.mark.parametrize("methods", METHODS)
def test_what_differs_is_found_and_seldom_called_equivalent(methods: int) -> None:
    plain, small, margin = (rates(replace(case, methods=methods), RACES) for case in UNEQUAL.values())
    assert plain.called / RACES > 0.9
    assert small.called / RACES > 0.5
    assert margin.equivalent / RACES <= 0.05
    assert margin.called / RACES > 0.5


def test_the_interval_of_all_methods_holds_that_of_one() -> None:
    for case in EQUAL.values():
        for effects in simulate(replace(case, methods=3), 20):
            for effect in effects.values():
                assert effect.alone is not None
                assert effect.family is not None
                assert effect.family.low <= effect.alone.low <= effect.alone.high <= effect.family.high


def test_what_the_order_changes_hides_no_disturbed_turn() -> None:
    """Of a round's four pairs two are 20% faster by their order; in every second round one of these is disturbed."""
    ours = [0.8, 1.0, 0.8, 1.0] * 8
    for each in range(0, 32, 8):
        ours[each] = 5.0
    effect = effects_of([timed("m", ours, [1.0] * 32, rounds=8)])["m"]
    assert effect.value == pytest.approx(math.log(0.8) / 2, abs=1e-9)


def test_the_family_s_interval_holds_the_method_s_where_it_has_few_rounds() -> None:
    noise = random.Random(0)
    few = timed("few", [2 * noise.lognormvariate(0, 0.2) for _ in range(12)], [1.0] * 12)
    few = few.model_copy(update={"rounds": [0, 0, 0, 0, 0, 4, 4, 4]})
    others = [
        timed(f"m{k}", [noise.lognormvariate(0, 0.05) for _ in range(32)], [1.0] * 32, rounds=8) for k in range(13)
    ]
    effect = effects_of([few, *others])["few"]
    assert effect.alone is not None
    assert effect.family is not None
    assert effect.family.low <= effect.alone.low < effect.alone.high <= effect.family.high


def test_a_speed_that_processes_have_of_their_own_is_in_the_interval() -> None:
    """Pairs within a round agree to a tenth of a percent, the rounds differ by 3%: so does the next race."""
    noise = random.Random(0)
    rounds = [noise.gauss(0, 0.03) for _ in range(8)]
    ours = [math.exp(each + noise.gauss(0, 0.001)) for each in rounds for _ in range(10)]
    interval = effects_of([timed("m", ours, [1.0] * 80, rounds=8)])["m"].alone
    assert interval is not None
    assert interval.low < 0 < interval.high
    assert interval.high - interval.low > 0.02


def test_inferences_of_one_training_are_one_comparison() -> None:
    noise = random.Random(0)
    ours = [noise.lognormvariate(0, 0.05) for _ in range(40)]
    alone = effects_of([timed("m", ours, [1.0] * 40, rounds=8)])["m"]
    shared = effects_of([timed(f"m[samples={k}]", ours, [1.0] * 40, rounds=8) for k in range(1, 4)])
    assert {(each.alone, each.family) for each in shared.values()} == {(alone.alone, alone.family)}
    assert alone.family == alone.alone


def test_the_ratio_is_that_of_the_interval() -> None:
    noise = random.Random(0)
    race = timed("m", [2 * noise.lognormvariate(0, 0.05) for _ in range(40)], [1.0] * 40, rounds=8)
    assert race_ratio(race) == pytest.approx(2, rel=0.02)
    assert math.log(race_ratio(race)) == pytest.approx(effects_of([race])["m"].value)
