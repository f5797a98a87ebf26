"""What a race says: how many times the reference's time a training step takes.

Each pair of turns gives a ratio. In every second pair the method's turn comes first, right after another turn of its
own, with warm caches; in the others the reference's does. Half of the difference between the medians of both kinds is
taken off, or added. A round's answer is the median of its ratios, so that a turn which the machine disturbs moves it by
at most one rank, and the race's is the mean of the rounds' logarithms.

Its interval is Student's, from how far rounds lie apart: a process has a speed of its own, and a machine that others
share changes its speed, for longer than a pair takes. That noise is the machine's, so it is taken from all methods of
a race together; a method whose own rounds lie further apart has theirs. Pairs of races without rounds are cut into
parts, one after another, which stand for rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from results.race import DatasetRace, MethodRace

_PARTS = 5
_MIN_ROUNDS = 3


def race_effects(race: DatasetRace) -> dict[str, Effect]:
    """The logarithm of every method's ratio, by its label.

    Methods that share a training were timed once, and count once among those that share the family's interval
    (Bonferroni). No interval stands where no method has enough rounds.
    """
    rounds = {each.method: _rounds(each) for each in race.methods}
    timed = {tuple(each.seconds): rounds[each.method] for each in race.methods}.values()
    spread, freedom = _pooled(timed)
    return {method: _effect(found, spread, freedom, len(timed)) for method, found in rounds.items()}


def race_ratio(race: MethodRace) -> float:
    """Times the reference's time per step."""
    return math.exp(float(_rounds(race).mean()))


def _rounds(race: MethodRace) -> NDArray[np.float64]:
    """The logarithm of each round's ratio, without what the order of turns changes."""
    pairs = zip(race.seconds, race.reference_seconds, strict=True)
    logs = np.array([math.log(ours / theirs) for ours, theirs in pairs])
    if len(logs) > 1:
        order = (np.median(logs[::2]) - np.median(logs[1::2])) / 2
        logs[::2] -= order
        logs[1::2] += order
    if len(race.rounds) >= _MIN_ROUNDS:
        parts = np.split(logs, np.cumsum(race.rounds)[:-1])
    else:
        parts = np.array_split(logs, _PARTS if len(logs) >= 2 * _PARTS else 1)
    return np.array([np.median(part) for part in parts])


def _pooled(methods: Iterable[NDArray[np.float64]]) -> tuple[float, int]:
    """The standard deviation of rounds about their method's mean, and its degrees of freedom."""
    squares, freedom = 0.0, 0
    for rounds in methods:
        squares += float(np.square(rounds - rounds.mean()).sum())
        freedom += len(rounds) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0, freedom


def _effect(rounds: NDArray[np.float64], spread: float, freedom: int, comparisons: int) -> Effect:
    value = float(rounds.mean())
    if len(rounds) < _MIN_ROUNDS:
        return Effect(value, 1, Basis.STEPS, None, None)
    error = max(spread, float(rounds.std(ddof=1))) / math.sqrt(len(rounds))
    alone, family = (_around(value, error, freedom, missed) for missed in (1 - LEVEL, (1 - LEVEL) / comparisons))
    return Effect(value, 1, Basis.STEPS, alone, family)


def _around(value: float, error: float, freedom: int, missed: float) -> Interval:
    from scipy import special  # slow to import, and `--help` need not wait for it

    half = float(-special.stdtrit(freedom, missed / 2)) * error
    return Interval(value - half, value + half)
