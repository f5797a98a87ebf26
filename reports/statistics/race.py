"""What a race says: how many times the reference's time a training step takes.

Each pair of turns gives a ratio. In every second pair the method's turn comes first, right after another turn of its
own, with warm caches; in the others the reference's does. Half of the difference between the medians of both kinds is
taken off, or added. The median of these ratios is the answer: a turn that the machine disturbs moves it by at most one
rank. Its interval is free of distributions: the k-th smallest and the k-th largest of n ratios enclose the median with
probability 1 - 2 P(B < k), B binomial (n, 1/2) (David and Nagaraja 2003, *Order Statistics*, section 7.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from results.race import DatasetRace, MethodRace


def median_interval(values: Sequence[float] | NDArray[np.float64], level: float = LEVEL) -> Interval | None:
    """An interval that holds the median of the values' distribution; None if there are too few values for this level.

    Among n values with ranks k and n + 1 - k, k is the largest at which each side is missed in at most half of what
    the level leaves.
    """
    from scipy import special  # slow to import, and `--help` need not wait for it

    below = special.bdtr(np.arange(len(values)), len(values), 0.5)  # P(B <= 0), P(B <= 1), ...
    rank = int(np.count_nonzero(below <= (1 - level) / 2))
    if rank < 1:
        return None
    ordered = sorted(values)
    return Interval(float(ordered[rank - 1]), float(ordered[-rank]))


def race_effect(race: MethodRace, comparisons: int) -> Effect:
    """The logarithm of the ratio of times per step; `comparisons` methods share the family's interval (Bonferroni)."""
    pairs = zip(race.seconds, race.reference_seconds, strict=True)
    logs = np.array([math.log(ours / theirs) for ours, theirs in pairs])
    if len(logs) > 1:
        order = (np.median(logs[::2]) - np.median(logs[1::2])) / 2
        logs[::2] -= order
        logs[1::2] += order
    family = 1 - (1 - LEVEL) / comparisons
    return Effect(float(np.median(logs)), 1, Basis.STEPS, median_interval(logs), median_interval(logs, family))


def race_effects(race: DatasetRace) -> dict[str, Effect]:
    """Every method that was timed, by its label."""
    return {each.method: race_effect(each, len(race.methods)) for each in race.methods}
