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
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reports.statistics.effect import LEVEL, Basis, Effect, Interval
from reports.statistics.many_to_one import critical_value

FAMILY_LEVEL = 0.96
"""Of the family's interval if noise were normal; 95% is then left where it is skewed or heavy-tailed."""
_TWO_SEEDS_LEVEL = 0.975
"""The same with two seeds, of which nobody can tell which one was disturbed; 95% is left where one was."""
CHANGE_LEVEL = 1 - 2 * (1 - FAMILY_LEVEL)
"""The same where only one end of the interval is used: a regression has a direction."""
_OUTLIER_LEVEL = 0.001
_STEADY_LEVEL = 0.97
"""Of methods with the noise of the others, this part is called steady."""
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
    """Each method against the reference, or against itself in an older run."""

    effects: dict[str, Effect]
    """Of the logarithm of the ratio."""
    sd: float | None
    """Of the logarithm of one cell's cost, over all methods; None where nothing tells."""
    df: int
    left_out: tuple[Key, ...]
    """Cells that did not count, for what the monitor or their residual says."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """The least-squares fit of the layout to the cells that count."""

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
    if min(costs[reference].values(), default=0) <= 0:
        return Costs({}, None, 0, ())
    return _estimate(costs, reference, disturbed, prior, FAMILY_LEVEL)


def cost_changes(
    ratios: Mapping[str, Mapping[int, float]],
    disturbed: Collection[Key] = (),
    prior: Prior | None = None,
) -> Costs:
    """How every method's cost changed from one run to another, as the logarithm of new / old.

    Each method is compared with itself, so what is tested is its own mean: log ratio = method + noise, a one-way layout
    with M (S - 1) degrees of freedom for the noise of all methods together. Seeds are no blocks here. A block takes out
    what the methods of a seed share, which is right where they are compared with one another; here it is part of the
    question, and a change of all methods alike must stand out from it. Where an hour was slow for all methods of a
    seed, their noise is correlated. Then the spread is known from fewer degrees of freedom than is said, but the
    methods are also fewer than they seem in the correction for many.

    Args:
        ratios: New over old by method and seed, all above 0.
        disturbed: Cells of which either run's was disturbed. They do not count unless a method has no other.
        prior: What a calibration knows of one cell's spread.

    Returns:
        The lower ends of all family intervals together are 95% bounds, and so are the upper ends.
    """
    from scipy import special  # slow to import, and `--help` need not wait for it

    known = prior and Prior(prior.sd * math.sqrt(2), prior.df)
    found = _estimate(ratios, None, disturbed, known, CHANGE_LEVEL)
    effects = {}
    for method, effect in found.effects.items():
        logs = [math.log(ratio) for seed, ratio in ratios[method].items() if (method, seed) not in found.left_out]
        if found.sd is not None and len(logs) > 1:
            # Against the noise of the others: its own is part of that of all, which a disturbed cell would widen.
            own, variance = len(logs) - 1, statistics.variance(logs)
            if (rest := found.df - own) > 0:
                others = max(0.0, found.df * found.sd**2 - own * variance) / rest
                bound = others * float(special.fdtri(own, rest, _STEADY_LEVEL))
                effect = replace(effect, is_steady=variance <= bound + 1e-18)
        effects[method] = effect
    return replace(found, effects=effects, sd=found.sd and found.sd / math.sqrt(2))


def _estimate(
    costs: Mapping[str, Mapping[int, float]],
    reference: str | None,
    disturbed: Collection[Key],
    prior: Prior | None,
    family_level: float,
) -> Costs:
    """Each method against the reference, or against 0 where there is none."""
    from scipy import special  # slow to import, and `--help` need not wait for it

    first = [] if reference is None else [reference]
    methods = [*first, *(method for method in costs if method != reference and costs[method])]
    cells = [(method, seed) for method in methods for seed in sorted(costs[method])]
    kept = [key for key in cells if key not in disturbed]
    for method in {method for method, _ in cells} - {method for method, _ in kept}:
        kept += [key for key in cells if key[0] == method]
    kept = _without_outliers(costs, methods, kept, blocks=bool(first))
    fit = _fit(costs, methods, kept, blocks=bool(first))
    df, variance = fit.df, float(fit.residuals @ fit.residuals)
    if prior is not None:
        df, variance = df + prior.df, variance + prior.df * prior.sd**2
    sd = math.sqrt(variance / df) if df else None

    n = np.array([sum(key[0] == method for key in kept) for method in methods])
    others = range(len(first), len(methods))
    contrasts = np.eye(len(methods))[len(first) :]
    loadings = (0.0,) * len(others)
    if first:
        contrasts[:, 0] = -1.0
        loadings = tuple(float(round(value, 6)) for value in np.sqrt(n[1:] / (n[1:] + n[0])))
    values = contrasts @ fit.effects
    units = np.einsum("ij,jk,ik->i", contrasts, fit.covariance, contrasts)
    bounds = (0.0, 0.0)
    if sd is not None and methods[len(first) :]:
        level = LEVEL if first and len(loadings) == 1 else family_level
        if first and len(loadings) > 1 and len({seed for _, seed in cells}) == 2:
            level = _TWO_SEEDS_LEVEL
        bounds = float(special.stdtrit(df, (1 + LEVEL) / 2)), critical_value(loadings, df, level)
    found = {}
    for k, value, unit in zip(others, values.tolist(), units.tolist(), strict=True):
        effect = Effect(value, int(n[k]), Basis.SEEDS, None, None)
        if sd is not None:
            error = sd * math.sqrt(unit)
            half, family = bounds[0] * error, bounds[1] * error
            effect = replace(
                effect,
                alone=Interval(value - half, value + half),
                family=Interval(value - family, value + family),
                seed_sd=sd * math.sqrt(2 if first else 1),
                df_per_seed=len(loadings),
            )
        found[methods[k]] = effect
    return Costs(found, sd, df, tuple(key for key in cells if key not in kept))


def _without_outliers(
    costs: Mapping[str, Mapping[int, float]], methods: list[str], kept: list[Key], *, blocks: bool
) -> list[Key]:
    """The cells without those whose residual is too far out, one at a time."""
    from scipy import special  # as above

    allowed = int(_MAX_LEFT_OUT * len(kept))
    for _ in range(allowed):
        fit = _fit(costs, methods, kept, blocks=blocks)
        if fit.df < _MIN_DF_FOR_OUTLIERS:
            break
        free = fit.freedom > 1e-9
        normed = np.where(free, fit.residuals**2 / np.where(free, fit.freedom, 1.0), 0.0)
        worst = int(np.argmax(normed * (1 + 1e-6 * np.sign(fit.residuals))))
        rest = float(fit.residuals @ fit.residuals - normed[worst])
        if rest <= 1e-18 or sum(key[0] == kept[worst][0] for key in kept) == 1:
            break
        t = math.sqrt(normed[worst] * (fit.df - 1) / rest)
        if 2 * special.stdtr(fit.df - 1, -t) * len(kept) >= _OUTLIER_LEVEL:
            break
        kept = [key for index, key in enumerate(kept) if index != worst]
    return kept


def _fit(costs: Mapping[str, Mapping[int, float]], methods: list[str], cells: list[Key], *, blocks: bool) -> _Fit:
    seeds = {seed: index if blocks else 0 for index, seed in enumerate(sorted({seed for _, seed in cells}))}
    m = len(methods)
    design = np.zeros((len(cells), m + max(seeds.values())))
    for row, (method, seed) in enumerate(cells):
        design[row, methods.index(method)] = 1.0
        if seeds[seed]:
            design[row, m + seeds[seed] - 1] = 1.0
    y = np.log(np.array([costs[method][seed] for method, seed in cells], dtype=np.float64))
    inverse = np.asarray(np.linalg.pinv(design.T @ design), dtype=np.float64)
    beta = inverse @ (design.T @ y)
    leverage = ((design @ inverse) * design).sum(axis=1)
    df = len(cells) - int(np.linalg.matrix_rank(design.T @ design, hermitian=True))
    return _Fit(beta[:m], inverse[:m, :m], y - design @ beta, 1 - leverage, df)
