"""A mean with its interval over seeds, and comparisons paired by seed.

Intervals are two-sided: mean ± q · s / √n, with s the sample standard deviation. Below `BOOTSTRAP_FROM` values q is
that of Student's t with n - 1 degrees of freedom; from there on it comes from the data by the symmetric studentised
bootstrap (bootstrap-t). scipy's own bootstrap intervals are too narrow at such n; the tests show it for its BCa. One
value has no interval: the spread over seeds is unknown, not zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 10
"""From this number of values on, intervals are bootstrapped."""
_RESAMPLES = 1999
ANY = (-math.inf, math.inf)
DIFFERENCES = (-100.0, 100.0)
"""Limits of a difference between two accuracies, in points."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds. `sd` and `half_width` are None for a single seed."""

    mean: float
    sd: float | None
    half_width: float | None
    """Half the width of the confidence interval: `mean ± half_width`."""
    n: int
    limits: tuple[float, float] = ANY
    """Between which the true mean lies whatever the data say."""

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of the interval, within the limits; None for a single seed."""
        if self.half_width is None:
            return None
        return max(self.mean - self.half_width, self.limits[0]), min(self.mean + self.half_width, self.limits[1])

    @property
    def is_cut(self) -> bool:
        """Whether the interval would go beyond the limits, so that it is not `mean ± half_width`."""
        low, high = self.limits
        return self.half_width is not None and (self.mean - self.half_width < low or self.mean + self.half_width > high)

    def overlaps(self, other: Estimate) -> bool:
        """Whether the two intervals share a point; False if either has no interval."""
        if self.half_width is None or other.half_width is None:
            return False
        return abs(self.mean - other.mean) <= self.half_width + other.half_width


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """A geometric mean of ratios with its interval: inverting all ratios inverts it."""

    mean: float
    low: float | None
    high: float | None
    """Ends of the confidence interval; None for a single seed."""
    n: int


def estimate(
    values: Iterable[float], confidence: float = CONFIDENCE, *, limits: tuple[float, float] = ANY
) -> Estimate | None:
    """Mean, sample standard deviation (n - 1) and interval of independent values; None without values.

    Args:
        values: The values.
        confidence: Of the interval.
        limits: Between which the true mean is known to lie.
    """
    found = _estimate(tuple(values), confidence)
    return found if found is None or limits == ANY else replace(found, limits=limits)


@lru_cache(maxsize=4096)  # a report needs the same mean in several tables, sentences and figures
def _estimate(data: tuple[float, ...], confidence: float) -> Estimate | None:
    n = len(data)
    if n == 0:
        return None
    mean = math.fsum(data) / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in data) / (n - 1))
    quantile = bootstrap_t(data, confidence) if n >= BOOTSTRAP_FROM else None
    return Estimate(mean, sd, (quantile or student_t(n - 1, confidence)) * sd / math.sqrt(n), n)


def ratio_estimate(ratios: Iterable[float]) -> RatioEstimate | None:
    """Geometric mean and interval of positive ratios, from their logarithms; None without values.

    Where all ratios are 0, so is the mean, without an interval; a 0 among others is left out.
    """
    known = list(ratios)
    logs = estimate(math.log(ratio) for ratio in known if ratio > 0)
    if logs is None:
        return RatioEstimate(0.0, None, None, len(known)) if known else None
    if logs.half_width is None:
        return RatioEstimate(math.exp(logs.mean), None, None, logs.n)
    # Beyond exp(700) there is no such number, and nobody reads it.
    low, high = (math.exp(min(logs.mean + side * logs.half_width, 700.0)) for side in (-1, 1))
    return RatioEstimate(math.exp(logs.mean), low, high, logs.n)


def bootstrap_t(values: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """The quantile of |mean* - mean| / (s* / √n) over resamples of the values, the same for the same values.

    None if it does not exist: nearly all values are equal, so many resamples have no spread.
    """
    n = len(values)
    data = np.asarray(values, dtype=float)
    # From their median, so that a resample of the commonest value alone has a spread of exactly zero: by rounding it
    # would come out at 1e-17 or so, and the quantile at 1e15.
    data = data - np.median(data)
    sums, squares = (_resamples(n) @ np.column_stack([data, data**2])).T
    means = sums / n
    variances = np.maximum(squares - n * means**2, 0.0) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(means - data.mean()) / np.sqrt(variances / n)
    quantile = float(np.quantile(np.nan_to_num(distance, nan=0.0, posinf=np.inf), confidence, method="higher"))
    return quantile if 0 < quantile < math.inf else None


@lru_cache(maxsize=32)
def _resamples(n: int) -> NDArray[np.float64]:
    """How often each of n values is in each resample, one resample a row."""
    drawn = np.random.default_rng(n).integers(0, n, size=(_RESAMPLES, n))
    cells = drawn + n * np.arange(_RESAMPLES)[:, None]
    return np.bincount(cells.ravel(), minlength=_RESAMPLES * n).reshape(_RESAMPLES, n).astype(float)


@lru_cache(maxsize=1024)
def student_t(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t for which a two-sided interval with `degrees` degrees of freedom has the given confidence."""
    from scipy import stats  # takes half a second to import, and `--help` need not wait for it

    return float(stats.t.ppf(0.5 + confidence / 2, degrees))


def paired_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """`ours - theirs` for every seed that both have, in order of seed."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def paired_ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """`ours / theirs` for every seed that both have and whose divisor is not 0, in order of seed."""
    return [ours[seed] / theirs[seed] for seed in sorted(ours.keys() & theirs.keys()) if theirs[seed] != 0]


def median_with_misses(values: Sequence[float | None]) -> float:
    """Median in which a miss (None) counts as infinite, so a method cannot gain by missing.

    Raises:
        statistics.StatisticsError: there are no values.
    """
    return statistics.median(math.inf if value is None else value for value in values)
