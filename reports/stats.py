"""The statistics of the report: a mean with its interval over seeds, and comparisons paired by seed.

Intervals are two-sided Student t intervals, mean ± t(n-1) · s / √n, with s the sample standard deviation. One value
has no interval: the spread over seeds is unknown, not zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds. `sd` and `half_width` are None for a single seed."""

    mean: float
    sd: float | None
    half_width: float | None
    """Half the width of the confidence interval: `mean ± half_width`."""
    n: int

    def overlaps(self, other: Estimate) -> bool:
        """Whether the two intervals share a point; False where either has no interval."""
        if self.half_width is None or other.half_width is None:
            return False
        return abs(self.mean - other.mean) <= self.half_width + other.half_width


def estimate(values: Iterable[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Mean, sample standard deviation (n - 1) and Student t interval of independent values.

    Returns:
        None where there are no values.
    """
    data = list(values)
    n = len(data)
    if n == 0:
        return None
    mean = math.fsum(data) / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in data) / (n - 1))
    return Estimate(mean, sd, student_t(n - 1, confidence) * sd / math.sqrt(n), n)


@lru_cache(maxsize=1024)
def student_t(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t for which a two-sided interval with `degrees` degrees of freedom has the given confidence."""
    from scipy import stats  # takes half a second to import, which `--help` need not wait for

    return float(stats.t.ppf(0.5 + confidence / 2, degrees))


def paired_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """`ours - theirs` for every seed that both have, in order of seed."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def paired_ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """`ours / theirs` for every seed that both have, in order of seed; pairs whose divisor is 0 are left out."""
    return [ours[seed] / theirs[seed] for seed in sorted(ours.keys() & theirs.keys()) if theirs[seed] != 0]


def median_with_misses(values: Sequence[float | None]) -> float:
    """Median in which a miss (None) counts as infinite, so that a method cannot gain by failing to arrive.

    Raises:
        statistics.StatisticsError: there are no values.
    """
    return statistics.median(math.inf if value is None else value for value in values)
