"""Tests of two methods or two runs on a few seeds, and the correction for many tests.

The paired test is the sign-flip permutation test. If two methods do the same, a seed's difference is as likely to have
either sign; p is the share of all 2^n choices of n signs whose mean is at least as far from zero as the observed one.
It assumes no distribution, and it is honest about few seeds: with n of them p cannot be below 2 / 2^n.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""The largest chance that a family of comparisons calls anything different that does not differ."""
EXACT_UP_TO = 14
"""Seeds for which all signs are enumerated; beyond, a random sample of as many as these have."""
_BATCH = 512
"""Resamples in memory at a time."""


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p of the hypothesis that the differences are symmetric around zero.

    Args:
        differences: one per seed; differences of logarithms for a ratio.

    Raises:
        ValueError: there are none.
    """
    return sign_flip_ps([differences])[0]


def sign_flip_ps(tests: Sequence[Sequence[float]]) -> list[float]:
    """The p of many tests, each as `sign_flip_p` gives it; tests with the same number of seeds are computed together.

    Raises:
        ValueError: one of them has no differences.
    """
    from scipy.stats import permutation_test  # slow to import, and `--help` need not wait for it

    p_values = [1.0] * len(tests)  # of a single seed, or no difference at all: either sign is as likely
    by_seeds: dict[int, list[int]] = {}
    for index, differences in enumerate(tests):
        if not len(differences):
            raise ValueError("no differences to test")
        if len(differences) > 1 and any(differences):
            by_seeds.setdefault(len(differences), []).append(index)
    for indices in by_seeds.values():
        columns = np.array([tests[index] for index in indices], dtype=float).T
        found = permutation_test(
            (np.ones(len(columns)),),
            partial(_means, columns),
            permutation_type="samples",
            vectorized=True,
            n_resamples=2**EXACT_UP_TO,
            alternative="two-sided",
            axis=-1,
            batch=_BATCH,
            rng=np.random.default_rng(0),
        )
        for index, p in zip(indices, found.pvalue.tolist(), strict=True):
            p_values[index] = float(p)
    return p_values


def _means(differences: NDArray[np.float64], signs: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The means of the tests' differences, (seeds, tests), with each row of signs, (resamples, seeds): one product."""
    return signs @ differences / len(differences)


def two_sample_p(old: Sequence[float], new: Sequence[float], resolution: float = 0.0) -> float:
    """Two-sided p of Student's t test for two samples of equal size and spread.

    Args:
        old: at least two values.
        new: as many.
        resolution: the least by which values can differ, and a lower bound of their standard deviation: two seeds that
            get the same number of images right do not show that nothing varies.
    """
    from scipy.stats import ttest_ind_from_stats  # as above

    n, means = len(old), (statistics.fmean(old), statistics.fmean(new))
    sd = max(resolution, math.sqrt((statistics.variance(old) + statistics.variance(new)) / 2))
    if sd == 0.0:
        return 1.0 if means[0] == means[1] else 0.0
    return float(ttest_ind_from_stats(means[0], sd, n, means[1], sd, n).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p adjusted for looking at all of them, by Holm's step-down procedure (1979).

    If nothing differs, the chance that any adjusted p is below a level is at most that level.
    """
    from statsmodels.stats.multitest import multipletests  # as above

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def least_p(seeds: int) -> float:
    """The smallest p that this many seeds can give."""
    return min(1.0, 2.0 ** (1 - min(seeds, EXACT_UP_TO)))


def seeds_needed(tests: int, alpha: float = ALPHA) -> int:
    """The fewest seeds with which one of `tests` comparisons can come out below `alpha` after the correction.

    Beyond `EXACT_UP_TO` seeds p gets no smaller, so for hundreds of tests there is no such number: `sys.maxsize`.
    """
    needed = math.ceil(1 + math.log2(tests / alpha))
    return needed if needed <= EXACT_UP_TO else sys.maxsize
