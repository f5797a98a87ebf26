"""Ratios of costs (time, memory), with the noise of the machine estimated from all methods together.

What disturbs a time or a resident size belongs to the machine, not to the method, so on a log scale all methods have
the same spread: log cost = method + seed + noise, seeds being blocks. With M methods and S seeds the noise has
(M - 1)(S - 1) degrees of freedom, however few seeds each method has. Every method is compared with the reference by
Dunnett's procedure. A calibration (A/A) adds what it knows of the spread.

Cells that the machine disturbed do not count: those that the monitor names, and those whose residual is further out
than chance allows (the maximum normed residual, Stefansky 1972). Of two that are equally far, the dearer one is taken:
a machine makes work slower, never faster.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from reports.statistics.many_to_one import critical_value

FAMILY_LEVEL = 0.96
"""Of the family's interval if noise were normal; 95% is then left where it is skewed or heavy-tailed."""
_OUTLIER_LEVEL = 0.001
_MAX_LEFT_OUT = 0.2
"""Part of the cells that may be left out for their residuals."""
_MIN_DF_FOR_OUTLIERS = 4

Key = tuple[str, int]
"""A cell: method and seed."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of the spread beforehand."""

    sd: float
    """Of the logarithm of one cell's cost."""
    df: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Each method against the reference."""

    effects: dict[str, Effect]
    """Of the logarithm of the ratio."""
    sd: float | None
    """Of the logarithm of one cell's cost, over all methods; None where nothing tells."""
    df: int
    left_out: tuple[Key, ...]
    """Cells that did not count, for what the monitor or their residual says."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """The least-squares fit of the two-way layout to the cells that count."""

    effects: NDArray[np.float64]
    covariance: NDArray[np.float64]
    """Of the methods' effects, in units of the noise's variance."""
    residuals: NDArray[np.float64]
    freedom: NDArray[np.float64]
    """1 - leverage of each cell."""
    df: int


def cost_effects(
    costs: Mapping[str, Mapping[int, float]],
    reference: str,
    disturbed: Collection[Key] = (),
    prior: Prior | None = None,
) -> Costs:
    """The cost of every other method, as the logarithm of its ratio to the reference's.

    Args:
        costs: By method and seed, all above 0.
        reference: One of the methods.
        disturbed: Cells that the monitor says were disturbed. They do not count unless a method has no other.
        prior: What a calibration knows.
    """
    methods = [reference, *(method for method in costs if method != reference and costs[method])]
    cells = [(method, seed) for method in methods for seed in sorted(costs[method])]
    kept = [key for key in cells if key not in disturbed]
    for method in {method for method, _ in cells} - {method for method, _ in kept}:
        kept += [key for key in cells if key[0] == method]
    if min(costs[reference].values(), default=0) <= 0:
        return Costs({}, None, 0, ())
    kept = _without_outliers(costs, methods, kept)
    fit = _fit(costs, methods, kept)
    df, variance = fit.df, float(fit.residuals @ fit.residuals)
    if prior is not None:
        df, variance = df + prior.df, variance + prior.df * prior.sd**2
    sd = math.sqrt(variance / df) if df else None
    left_out = tuple(key for key in cells if key not in kept)
    return Costs(_effects(methods, kept, fit, sd, df), sd, df, left_out)


def _effects(methods: list[str], kept: list[Key], fit: _Fit, sd: float | None, df: int) -> dict[str, Effect]:
    count = {method: sum(key[0] == method for key in kept) for method in methods}
    n = np.array([count[method] for method in methods])
    loadings = tuple(float(round(value, 6)) for value in np.sqrt(n[1:] / (n[1:] + n[0])))
    found = {}
    for k, method in enumerate(methods[1:], start=1):
        value = float(fit.effects[k] - fit.effects[0])
        if sd is None:
            found[method] = Effect(value, int(n[k]), Basis.SEEDS, None, None)
            continue
        unit = float(fit.covariance[k, k] + fit.covariance[0, 0] - 2 * fit.covariance[0, k])
        half = stats.t.ppf((1 + LEVEL) / 2, df) * sd * math.sqrt(unit)
        single = len(loadings) == 1
        family = critical_value(loadings, df, LEVEL if single else FAMILY_LEVEL) * sd * math.sqrt(unit)
        found[method] = Effect(
            value,
            int(n[k]),
            Basis.SEEDS,
            Interval(value - half, value + half),
            Interval(value - family, value + family),
            seed_sd=sd * math.sqrt(2),
            df_per_seed=len(loadings),
        )
    return found


def _without_outliers(costs: Mapping[str, Mapping[int, float]], methods: list[str], kept: list[Key]) -> list[Key]:
    """The cells without those whose residual is too far out, one at a time."""
    allowed = int(_MAX_LEFT_OUT * len(kept))
    for _ in range(allowed):
        fit = _fit(costs, methods, kept)
        if fit.df < _MIN_DF_FOR_OUTLIERS:
            break
        free = fit.freedom > 1e-9
        normed = np.where(free, fit.residuals**2 / np.where(free, fit.freedom, 1.0), 0.0)
        worst = int(np.argmax(normed * (1 + 1e-6 * np.sign(fit.residuals))))
        rest = float(fit.residuals @ fit.residuals - normed[worst])
        if rest <= 1e-18 or sum(key[0] == kept[worst][0] for key in kept) == 1:
            break
        t = math.sqrt(normed[worst] * (fit.df - 1) / rest)
        if 2 * stats.t.sf(t, fit.df - 1) * len(kept) >= _OUTLIER_LEVEL:
            break
        kept = [key for index, key in enumerate(kept) if index != worst]
    return kept


def _fit(costs: Mapping[str, Mapping[int, float]], methods: list[str], cells: list[Key]) -> _Fit:
    seeds = {seed: index for index, seed in enumerate(sorted({seed for _, seed in cells}))}
    m = len(methods)
    design = np.zeros((len(cells), m + len(seeds) - 1))
    for row, (method, seed) in enumerate(cells):
        design[row, methods.index(method)] = 1.0
        if seeds[seed]:
            design[row, m + seeds[seed] - 1] = 1.0
    y = np.log(np.array([costs[method][seed] for method, seed in cells], dtype=np.float64))
    inverse = np.asarray(np.linalg.pinv(design.T @ design), dtype=np.float64)
    beta = inverse @ (design.T @ y)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    df = len(cells) - int(np.linalg.matrix_rank(design))
    return _Fit(beta[:m], inverse[:m, :m], y - design @ beta, 1 - leverage, df)
