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

_CORRECTIONS = 5


def median_intervals(
    values: Sequence[float] | NDArray[np.float64], levels: Sequence[float] = (LEVEL,), correlation: float = 1.0
) -> list[Interval | None]:
    """For each level an interval that holds the median of the values' distribution, all of one form.

    Among n values with ranks k and n + 1 - k, k is the largest at which each side is missed in at most half of what
    the level leaves. With a `correlation` time above 1, k is found among as many times fewer values, and the rank is
    the one at the same quantile. None stands where even n independent values would be too few.
    """
    from scipy import special  # slow to import, and `--help` need not wait for it

    number, independent = len(values), int(len(values) / correlation)

    def rank_among(count: int, level: float) -> int:
        below = special.bdtr(np.arange(count), count, 0.5)  # P(B <= 0), P(B <= 1), ...
        return int(np.count_nonzero(below <= (1 - level) / 2))

    def by_ranks(level: float) -> Interval:
        ordered = sorted(values)
        rank = max(1, math.floor((rank_among(independent, level) - 0.5) * number / independent + 0.5))
        return Interval(float(ordered[rank - 1]), float(ordered[-rank]))

    def by_deviations(level: float) -> Interval:
        count, middle = max(2, independent), float(np.median(values))
        noise = float(np.median(np.abs(np.asarray(values) - middle)) / special.ndtri(0.75))
        half = float(-special.stdtrit(count - 1, (1 - level) / 2)) * noise * math.sqrt(math.pi / 2 / count)
        return Interval(middle - half, middle + half)

    interval = by_ranks if rank_among(independent, max(levels)) > 0 else by_deviations
    return [interval(level) if rank_among(number, level) > 0 else None for level in levels]


def correlation_time(values: NDArray[np.float64]) -> float:
    """As many values in a row say what one alone would say of the median; at least 1.

    The signs are taken about the values' own median, which makes them sum to 0 and each autocorrelation too small by
    about the result's share of the values: that is added again, until it changes nothing.
    """
    signs = np.sign(values - np.median(values))
    power = float(signs @ signs)
    if power == 0:
        return 1.0
    number = len(signs)
    correlations = [float(signs[lag:] @ signs[: number - lag]) / power for lag in range(number)]
    found = 1.0
    for _ in range(_CORRECTIONS):
        time, last = -1.0, math.inf
        for lag in range(0, number - 1, 2):
            last = min(last, sum(correlations[k] + (found / number if k else 0.0) for k in (lag, lag + 1)))
            if last <= 0:
                break
            time += 2 * last
        found = min(max(1.0, time), number / 2)
    return found


def independent_pairs(race: MethodRace) -> float:
    """As many independent pairs would say as much."""
    return len(race.seconds) / correlation_time(_logs(race))


def race_effect(race: MethodRace, comparisons: int) -> Effect:
    """The logarithm of the ratio of times per step; `comparisons` methods share the family's interval (Bonferroni)."""
    logs = _logs(race)
    alone, family = median_intervals(logs, (LEVEL, 1 - (1 - LEVEL) / comparisons), correlation_time(logs))
    return Effect(float(np.median(logs)), 1, Basis.STEPS, alone, family)


def _logs(race: MethodRace) -> NDArray[np.float64]:
    """Of the pairs' ratios, without what their order changes."""
    pairs = zip(race.seconds, race.reference_seconds, strict=True)
    logs = np.array([math.log(ours / theirs) for ours, theirs in pairs])
    if len(logs) > 1:
        order = (np.median(logs[::2]) - np.median(logs[1::2])) / 2
        logs[::2] -= order
        logs[1::2] += order
    return logs


def race_effects(race: DatasetRace) -> dict[str, Effect]:
    """Every method that was timed, by its label; those that share a training were timed once and count once."""
    timed = len({tuple(each.seconds) for each in race.methods})
    return {each.method: race_effect(each, timed) for each in race.methods}
