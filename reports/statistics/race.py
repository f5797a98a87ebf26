"""What a race says: how many times the reference's time a training step takes.

Each pair of turns gives a ratio. In every second pair the method's turn comes first, right after another turn of its
own, with warm caches; in the others the reference's does. Half of the difference between the medians of both kinds is
taken off, or added. The median of these ratios is the answer: a turn that the machine disturbs moves it by at most one
rank. Its interval is free of distributions: the k-th smallest and the k-th largest of n ratios enclose the median with
probability 1 - 2 P(B < k), B binomial (n, 1/2) (David and Nagaraja 2003, *Order Statistics*, section 7.1).

A machine that others share is faster for one method and then for the other, a few pairs long, so pairs in a row are
alike. As many of them as say what one alone would say are counted as one: the correlation time of their signs about
the median, by the initial monotone sequence (Geyer 1992, "Practical Markov chain Monte Carlo", section 3.3). Where too
few are left for ranks, the interval is Student's about the median: its standard error in normal noise is
sqrt(pi / 2) times that of a mean, and the noise is taken from the median absolute deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from results.race import DatasetRace, MethodRace


def median_interval(
    values: Sequence[float] | NDArray[np.float64], level: float = LEVEL, correlation: float = 1.0
) -> Interval | None:
    """An interval that holds the median of the values' distribution; None if there are too few values for this level.

    Among n values with ranks k and n + 1 - k, k is the largest at which each side is missed in at most half of what
    the level leaves. With a `correlation` time above 1, k is found among as many times fewer values, and the rank is
    the one at the same quantile.
    """
    from scipy import special  # slow to import, and `--help` need not wait for it

    miss, independent = (1 - level) / 2, int(len(values) / correlation)

    def rank_among(number: int) -> int:
        below = special.bdtr(np.arange(number), number, 0.5)  # P(B <= 0), P(B <= 1), ...
        return int(np.count_nonzero(below <= miss))

    if rank_among(len(values)) < 1:
        return None
    if rank := rank_among(independent):
        rank = max(1, math.floor((rank - 0.5) * len(values) / independent + 0.5))
        ordered = sorted(values)
        return Interval(float(ordered[rank - 1]), float(ordered[-rank]))
    independent = max(2, independent)
    middle = float(np.median(values))
    noise = float(np.median(np.abs(np.asarray(values) - middle))) / special.ndtri(0.75)
    half = -special.stdtrit(independent - 1, miss) * noise * math.sqrt(math.pi / 2 / independent)
    return Interval(middle - half, middle + half)


def correlation_time(values: NDArray[np.float64]) -> float:
    """As many values in a row say what one alone would say of the median; at least 1."""
    signs = np.sign(values - np.median(values))
    time, last = -1.0, math.inf
    for lag in range(0, len(signs) - 1, 2):
        last = min(last, sum(float(signs[k:] @ signs[: len(signs) - k]) for k in (lag, lag + 1)) / len(signs))
        if last <= 0:
            break
        time += 2 * last
    return max(1.0, time)


def race_effect(race: MethodRace, comparisons: int) -> Effect:
    """The logarithm of the ratio of times per step; `comparisons` methods share the family's interval (Bonferroni)."""
    pairs = zip(race.seconds, race.reference_seconds, strict=True)
    logs = np.array([math.log(ours / theirs) for ours, theirs in pairs])
    if len(logs) > 1:
        order = (np.median(logs[::2]) - np.median(logs[1::2])) / 2
        logs[::2] -= order
        logs[1::2] += order
    correlation = correlation_time(logs)
    alone, family = (median_interval(logs, level, correlation) for level in (LEVEL, 1 - (1 - LEVEL) / comparisons))
    return Effect(float(np.median(logs)), 1, Basis.STEPS, alone, family)


def race_effects(race: DatasetRace) -> dict[str, Effect]:
    """Every method that was timed, by its label."""
    return {each.method: race_effect(each, len(race.methods)) for each in race.methods}
