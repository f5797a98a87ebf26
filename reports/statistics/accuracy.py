"""Differences in accuracy with both sources of chance: the seeds, and the images that happen to be in the test set.

All cells of a data set answer the same images, so seeds and images are crossed random effects. For the seeds s and
images i that a method and the reference share, d_si is 1 where only the method is right, -1 where only the reference
is, else 0, and d_si = mean + seed_s + image_i + rest_si. The mean over S seeds and N images varies by

    Var = (V_seed + V_rest / N) / S + V_image / N,

so that an interval from it is one for *a new seed and a new test set of this size*. The parts are estimated from the
mean squares of the two-way table. Where it is not known which images were right, only the first part is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from reports.statistics.many_to_one import EQUAL_LOADING, critical_value
from results.answers import unpack
from results.schema import CellResult

CAUTION = 1.85
"""Spread that the methods share is taken this many times as large before it stands in for a method's own: methods
differ in spread, and a method whose few seeds happen to agree must not borrow the steadiness of others. At 2, a gap of
5 points among 15 methods and 3 seeds is missed in more than one of twenty runs, with no fewer false alarms
(`simulation.py`)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One method's accuracies (fractions) by seed and, where known, which test images it got right, (N,) each."""

    accuracy: Mapping[int, float]
    right: Mapping[int, NDArray[np.bool_]]
    images: int
    """N, the size of the test set."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A mean difference and the parts of its variance."""

    mean: float
    seeds: int
    df: int
    """Of the seed variance."""
    seed_variance: float | None
    """Of a single seed's difference, V_seed + V_rest / N; None with one seed."""
    image_variance: float | None
    """V_image / N, or with one seed (V_image + V_rest) / N; None where images are not known."""
    images: int


def answers_of(cells: Iterable[CellResult]) -> Answers:
    """What a method's cells got right; which images where all cells have the same data and say it."""
    tested = [cell for cell in cells if cell.test_accuracy is not None]
    known = [(cell.seed, cell.test_correct, cell.data) for cell in tested]
    right = {seed: unpack(bits, data.n_test) for seed, bits, data in known if bits is not None and data is not None}
    is_alike = len({data and data.fingerprint for _, _, data in known}) == 1
    images = max((data.n_test for _, _, data in known if data is not None), default=0)
    return Answers({cell.seed: cell.test_accuracy or 0.0 for cell in tested}, right if is_alike else {}, images)


def accuracy_effects(methods: Mapping[str, Answers], reference: str) -> dict[str, Effect]:
    """Every other method's test accuracy minus the reference's, in percentage points.

    A method that shares no seed with the reference is left out.
    """
    parts = {
        name: found
        for name, answers in methods.items()
        if name != reference and (found := _parts(answers, methods[reference])) is not None
    }
    return _effects(parts, EQUAL_LOADING, LEVEL)


def accuracy_changes(methods: Mapping[str, tuple[Answers, Answers]]) -> dict[str, Effect]:
    """How every method's test accuracy changed from one run to another, (old, new), in percentage points.

    The two runs are taken for two samples: cells of the same seed can only be closer, and two samples of 3 seeds have 4
    degrees of freedom where 3 pairs have 2.

    Returns:
        The upper ends of all family intervals together are 95% bounds, and so are the lower ends.
    """
    parts = {name: found for name, (old, new) in methods.items() if (found := _parts(new, old, paired=False))}
    return _effects(parts, 0.0, 1 - 2 * (1 - LEVEL))


def _effects(parts: Mapping[str, _Parts], loading: float, family_level: float) -> dict[str, Effect]:
    spreads = [(each.seed_variance, each.df) for each in parts.values() if each.seed_variance is not None]
    shared, shared_df = 0.0, 0.0
    if spreads:
        df = sum(n for _, n in spreads)
        shared = sum(variance * n for variance, n in spreads) / df
        # Differences that share the reference know less than independent ones: k of them 4 k / (k + 3) as much as one.
        shared_df = df * 4 / (len(spreads) + 3) if loading else df
    joint = critical_value((loading,) * len(parts), round(shared_df, 1), family_level) if spreads else 0.0
    return {name: _effect(each, len(parts), shared, joint, family_level) for name, each in parts.items()}


def _parts(answers: Answers, reference: Answers, *, paired: bool = True) -> _Parts | None:
    seeds = sorted(set(answers.accuracy) & set(reference.accuracy))
    if not seeds:
        return None
    ours, theirs = (np.array([each.accuracy[seed] for seed in seeds]) for each in (answers, reference))
    gaps = ours - theirs
    s, n = len(seeds), answers.images
    df = (s - 1) * (1 if paired else 2)
    # One differing answer more than there is: where all agree, a new test set need not.
    unseen = 1 / (s * n**2) if n else 0.0
    by_seed = None
    if s > 1:
        by_seed = unseen + float(gaps.var(ddof=1) if paired else ours.var(ddof=1) + theirs.var(ddof=1))
    if not all(seed in answers.right and seed in reference.right for seed in seeds):
        return _Parts(float(gaps.mean()), s, df, by_seed, None, n)
    d = np.stack([answers.right[seed].astype(np.float64) - reference.right[seed] for seed in seeds])
    by_image = float(d.mean(axis=0).var(ddof=1)) / n
    if s > 1:
        rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
        by_image = max(0.0, by_image - float((rest**2).sum()) / ((s - 1) * (n - 1)) / (s * n))
    return _Parts(float(gaps.mean()), s, df, by_seed, by_image + unseen, n)


def _effect(parts: _Parts, comparisons: int, shared: float, joint: float, family_level: float) -> Effect:
    if parts.seed_variance is None:
        if parts.image_variance is None:
            return Effect(100 * parts.mean, parts.seeds, Basis.SEEDS, None, None)
        half, family = (
            _t(tail, parts.images - 1) * math.sqrt(parts.image_variance)
            for tail in (1 - LEVEL, (1 - family_level) / comparisons)
        )
        return _points(parts, Basis.IMAGES, half, family)
    image = parts.image_variance or 0.0
    # Its own seeds, at a level of their own, must show a difference before the shared spread may decide.
    half, alone_enough, family = (
        _half_width(parts, image, tail)
        for tail in (1 - LEVEL, (1 - family_level) / 2, (1 - family_level) / comparisons)
    )
    if comparisons > 1:
        cautious = math.sqrt(max(parts.seed_variance, CAUTION**2 * shared) / parts.seeds + image)
        family = min(family, max(alone_enough, joint * cautious))
    basis = Basis.SEEDS if parts.image_variance is None else Basis.SEEDS_AND_IMAGES
    return _points(parts, basis, half, family)


def _points(parts: _Parts, basis: Basis, half: float, family: float) -> Effect:
    mean = parts.mean
    return Effect(
        value=100 * mean,
        seeds=parts.seeds,
        basis=basis,
        alone=Interval(100 * (mean - half), 100 * (mean + half)),
        family=Interval(100 * (mean - family), 100 * (mean + family)),
        seed_sd=None if parts.seed_variance is None else 100 * math.sqrt(parts.seed_variance),
        fixed_variance=1e4 * (parts.image_variance or 0.0),
    )


def _half_width(parts: _Parts, image: float, tail: float) -> float:
    """Of an interval whose two tails together have probability `tail`.

    Few seeds that happen to agree make Satterthwaite's interval too short; Howe's (1974), which gives each part of the
    variance the quantile of its own degrees of freedom, is too long. Their geometric mean holds what it promises.
    """
    assert parts.seed_variance is not None
    seed, n = parts.seed_variance / parts.seeds, max(1, parts.images - 1)
    if image == 0:
        return _t(tail, parts.df) * math.sqrt(seed)
    df = (seed + image) ** 2 / (seed**2 / parts.df + image**2 / n)
    satterthwaite = _t(tail, df) * math.sqrt(seed + image)
    howe = math.hypot(_t(tail, parts.df) * math.sqrt(seed), _t(tail, n) * math.sqrt(image))
    return math.sqrt(satterthwaite * howe)


def _t(tail: float, df: float) -> float:
    """What |T| exceeds with probability `tail`."""
    from scipy import special  # slow to import, and `--help` need not wait for it

    return float(-special.stdtrit(df, tail / 2))
