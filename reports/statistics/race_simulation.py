"""How often what a race says is right, where the truth is known: the race's part of the tables of `simulation`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from reports.statistics.effect import Effect, Verdict
from reports.statistics.race import effects_of
from reports.statistics.rates import Rates, told_apart
from results.race import MethodRace

_MARGIN = math.log(1.05)
_ROUNDS, _PAIRS = 8, 4


@dataclass(frozen=True, slots=True)
class Case:
    """A made-up race, drawn again and again. All figures are of logarithms."""

    pairs: float
    """Scale of the noise of a pair: Student's t with 4 degrees of freedom."""
    rounds: float
    """SD of the speed that the processes of a round have of their own."""
    began: float = 0.03
    """What the method that began a round is slower."""
    order: float = 0.05
    """What a turn right after one of the same method is faster, as is the first of every second pair."""
    noisier: float = 1.0
    """Times as noisy as the others is the first method."""
    effect: float = 0.0
    """The truth about the first method; the others are as fast as the reference."""
    methods: int = 1


def simulate(case: Case, races: int, seed: int = 0) -> Iterator[dict[str, Effect]]:
    """What is said of so many races; the first method is `m0`."""
    rng = np.random.default_rng(seed)
    began = case.began / 2 * np.where(np.arange(_ROUNDS) % 2 == 0, 1, -1)[:, None]
    order = case.order / 2 * np.where(np.arange(_PAIRS) % 2 == 0, -1, 1)
    for _ in range(races):
        timed = []
        for number in range(case.methods):
            noise = case.pairs * rng.standard_t(4, size=(_ROUNDS, _PAIRS))
            noise += case.rounds * rng.standard_normal((_ROUNDS, 1))
            is_first = number == 0
            logs = (case.noisier if is_first else 1.0) * noise + began + order + (case.effect if is_first else 0.0)
            race = MethodRace(
                method=f"m{number}",
                steps=1,
                reference_steps=1,
                seconds=np.exp(logs).ravel().tolist(),
                reference_seconds=[1.0] * logs.size,
                rounds=[_PAIRS] * _ROUNDS,
            )
            timed.append(race)
        yield effects_of(timed)


def rates(case: Case, races: int, seed: int = 0) -> Rates:
    """Hold the verdicts of a case against the truth."""
    found = Rates()
    for effects in simulate(case, races, seed):
        truths = {name: case.effect if name == "m0" else 0.0 for name in effects}
        verdicts = {name: effect.verdict(_MARGIN, higher_is_better=False) for name, effect in effects.items()}
        found.count(effects, truths, told_apart(verdicts), verdicts["m0"] is Verdict.EQUIVALENT)
    return found


METHODS = (1, 6, 14)
EQUAL: dict[str, Case] = {
    "pairs differ by 10%": Case(pairs=0.1, rounds=0.0),
    "pairs and rounds differ by 5%": Case(pairs=0.05, rounds=0.05),
    "rounds differ by 10%": Case(pairs=0.02, rounds=0.1),
    "one method is three times as noisy": Case(pairs=0.03, rounds=0.03, noisier=3.0),
}
"""Where all methods are as fast as the reference."""
UNEQUAL: dict[str, Case] = {
    "a step of 1.3 times, pairs 10%, rounds 5%": Case(pairs=0.1, rounds=0.05, effect=math.log(1.3)),
    "a step of 1.1 times, pairs 5%, rounds 2%": Case(pairs=0.05, rounds=0.02, effect=math.log(1.1)),
    "a step at the margin (5%), pairs 2%, rounds 1%": Case(pairs=0.02, rounds=0.01, effect=_MARGIN),
}


def rows(races: int) -> Iterator[tuple[str, list[str]]]:
    """The rows of both tables with their headers."""
    columns = [f"{methods} method{'s' if methods > 1 else ''}" for methods in METHODS]
    yield "a race in which nothing differs", columns
    for seed, (what, case) in enumerate(EQUAL.items()):
        each = [rates(replace(case, methods=methods), races, seed) for methods in METHODS]
        yield (
            what,
            [f"{_part(one.false_alarms, one)}; {one.coverage:.1%}, {_part(one.covered_first, one)}" for one in each],
        )
    yield "a race in which something differs", columns
    for seed, (what, case) in enumerate(UNEQUAL.items()):
        each = [rates(replace(case, methods=methods), races, seed) for methods in METHODS]
        yield what, [f"{_part(one.called, one)}; {_part(one.equivalent, one)}" for one in each]


def _part(count: int, of: Rates) -> str:
    return f"{count / of.runs:.1%}"
