"""Whether two methods can be told apart by the seeds of a run: an exact paired test, and a correction for many tests.

The test is the sign-flip permutation test. Under the hypothesis that two methods do the same, a seed's difference is as
likely to have either sign; p is the share of all 2^n ways to set the n signs whose mean is at least as far from zero as
the one seen. It assumes no distribution, and is honest about few seeds: with n of them p cannot be below 2 / 2^n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""The chance, at most, that a report on methods that do not differ calls any two of them different."""
EXACT_UP_TO = 14
"""Seeds for which all ways to set the signs are looked at; beyond, a random choice of as many as these have."""
_ROUNDING = 1e-13


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p of the hypothesis that the differences are symmetric around zero.

    Args:
        differences: one a seed; differences of logarithms for a ratio.

    Raises:
        ValueError: there are none.
    """
    return sign_flip_ps([differences])[0]


def sign_flip_ps(tests: Sequence[Sequence[float]]) -> list[float]:
    """The p of many tests, each as `sign_flip_p` gives it; those with as many seeds are worked out together.

    Raises:
        ValueError: one of them has no differences.
    """
    p_values = [1.0] * len(tests)  # where one sign is as likely as the other: a single seed, or no difference at all
    by_seeds: dict[int, list[int]] = {}
    for index, differences in enumerate(tests):
        if not len(differences):
            raise ValueError("no differences to test")
        if len(differences) > 1 and any(differences):
            by_seeds.setdefault(len(differences), []).append(index)
    for seeds, indices in by_seeds.items():
        data = np.array([tests[index] for index in indices], dtype=float).T
        signs = _signs(seeds)
        sums, seen = signs @ data, data.sum(axis=0)
        near = _ROUNDING * np.abs(data).sum(axis=0)  # sums that are equal in theory differ by rounding
        tails = np.minimum((sums <= seen + near).sum(axis=0), (sums >= seen - near).sum(axis=0))
        # A random choice of signs is joined by those that were seen: p is never 0.
        also = 0 if seeds <= EXACT_UP_TO else 1
        for index, tail in zip(indices, tails.tolist(), strict=True):
            p_values[index] = min(1.0, 2 * (tail + also) / (len(signs) + also))
    return p_values


@lru_cache(maxsize=8)
def _signs(n: int) -> NDArray[np.float64]:
    """All ways to set n signs, or a random choice of them where those are too many: one a row, ±1."""
    if n <= EXACT_UP_TO:
        return np.where((np.arange(2**n)[:, None] >> np.arange(n)) & 1, -1.0, 1.0)
    pairs = np.tile([1.0, -1.0], (2**EXACT_UP_TO, n, 1))
    return np.ascontiguousarray(np.random.default_rng(0).permuted(pairs, axis=-1)[..., 0])


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p adjusted for looking at all of them, by Holm's step-down procedure (1979).

    Where nothing differs, the chance that any of the adjusted is below a level is at most that level.
    """
    from statsmodels.stats.multitest import multipletests  # takes a while to import, which `--help` need not wait for

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def least_p(seeds: int) -> float:
    """The smallest p that this many seeds can give."""
    return min(1.0, 2.0 ** (1 - seeds))


def seeds_needed(tests: int, alpha: float = ALPHA) -> int:
    """The fewest seeds with which one of `tests` comparisons can come out below `alpha` after the correction."""
    return math.ceil(1 + math.log2(tests / alpha))
