"""What a race says: how many times the reference's time a training step takes.

Each pair of turns gives a ratio. In every second pair the method's turn comes first, right after another turn of its
own, with warm caches; in the others the reference's does. Half of the median difference between two pairs in a row is
taken off, or added. A round's answer is the median of its ratios, so that a turn which the machine disturbs moves it by
at most one rank. The method begins in every second round, and in the others the reference; a process that was started
before the other is a little slower. The race's answer is half-way between the means of both kinds of rounds.

Its interval is Student's, from how far rounds of a kind lie apart: a process has a speed of its own, and a machine that
others share changes its speed, for longer than a pair takes. For the family's interval that noise is taken from all
methods of a race together, since most of it is the machine's, but not below the method's own, nor is that interval ever
narrower than the method's. Pairs of races without rounds are cut into parts, one after another, which stand for rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from results.race import DatasetRace, MethodRace

_PARTS = 5


def race_effects(race: DatasetRace) -> dict[str, Effect]:
    """The logarithm of every method's ratio, by its label."""
    return effects_of(race.methods)


def effects_of(methods: Sequence[MethodRace]) -> dict[str, Effect]:
    """Those of all methods that were timed in a race.

    Methods that share a training were timed once, and count once among those that share the family's interval
    (Bonferroni). Where a method has no two rounds of a kind, it has no interval.
    """
    rounds = {each.method: _rounds(each) for each in methods}
    timed = {tuple(each.seconds): rounds[each.method] for each in methods}.values()
    freedom = sum(each.freedom for each in timed)
    spread = math.sqrt(sum(each.squares for each in timed) / freedom) if freedom else 0.0
    return {method: _effect(found, spread, freedom, len(timed)) for method, found in rounds.items()}


def race_ratio(race: MethodRace) -> float:
    """Times the reference's time per step."""
    return math.exp(_rounds(race).value)


@dataclass(frozen=True)
class _Rounds:
    """What the rounds of a method say; ratios are logarithms."""

    value: float
    variance: float
    """Of the value, if that of a round were 1."""
    squares: float
    """Sum of the squared distances of rounds from the mean of their kind."""
    freedom: int
    """Degrees of freedom of these; 0 where they say nothing."""


def _rounds(race: MethodRace) -> _Rounds:
    pairs = zip(race.seconds, race.reference_seconds, strict=True)
    logs = np.array([math.log(ours / theirs) for ours, theirs in pairs])
    if len(logs) > 1:
        couples = len(logs) // 2 * 2
        order = np.median(logs[:couples:2] - logs[1:couples:2]) / 2
        logs[::2] -= order
        logs[1::2] += order
    parts, beginners = np.array_split(logs, _PARTS if len(logs) >= 2 * _PARTS else 1), 1
    if race.rounds:
        parts, beginners = np.split(logs, np.cumsum(race.rounds)[:-1]), 2
    every = [[float(np.median(part)) for part in parts[kind::beginners] if len(part)] for kind in range(beginners)]
    kinds = [kind for kind in every if kind]
    means = [math.fsum(kind) / len(kind) for kind in kinds]
    return _Rounds(
        value=math.fsum(means) / len(means),
        variance=sum(1 / len(kind) for kind in kinds) / len(kinds) ** 2,
        squares=sum((each - mean) ** 2 for kind, mean in zip(kinds, means, strict=True) for each in kind),
        freedom=sum(len(kind) - 1 for kind in kinds),
    )


def _effect(rounds: _Rounds, spread: float, freedom: int, comparisons: int) -> Effect:
    if rounds.freedom == 0:
        return Effect(rounds.value, 1, Basis.STEPS, None, None)
    own = math.sqrt(rounds.squares / rounds.freedom)
    alone = _quantile(rounds.freedom, 1 - LEVEL) * own
    family = max(alone, _quantile(freedom, (1 - LEVEL) / comparisons) * max(own, spread))
    ends = [
        Interval(rounds.value - half, rounds.value + half)
        for half in (alone * math.sqrt(rounds.variance), family * math.sqrt(rounds.variance))
    ]
    return Effect(rounds.value, 1, Basis.STEPS, ends[0], ends[1])


def _quantile(freedom: int, missed: float) -> float:
    from scipy import special  # slow to import, and `--help` need not wait for it

    return float(-special.stdtrit(freedom, missed / 2))
