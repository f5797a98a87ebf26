"""The picture of what accuracy costs: time, activations and GPU memory, each with its Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter

from reports.front import COSTS, mean_points, pareto_front, seed_points
from reports.stats import estimate
from reports.style import (
    CROP_SPAN,
    MAX_DOTS,
    Look,
    Picture,
    legend,
    panels,
    save,
    scale_x,
    spread_note,
    themed,
    wrapped,
)
from reports.tables import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.text import exact, plus_minus
from reports.view import DatasetView

LEAST_ERROR = 0.1
"""Percent, added to every error where they are drawn by their logarithms, so that one of 0 has a place."""
ERROR_TICKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 100)

Seeds = dict[str, tuple[np.ndarray, np.ndarray]]
"""By method: costs and test accuracies in percent, one a seed."""


def trade_off(
    data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path, *, times: bool = True
) -> Picture | None:
    """Test accuracy against training time and, beside it, against activation bytes: one point a method.

    Where times may not be compared (`times` is False), there is no front in them.
    """
    costs = {cost: seeds for cost in COSTS if (seeds := _seeds(data, methods, cost))}
    if not costs:
        return None
    units = {cost: "s" if cost is TRAIN_SECONDS else "MiB" for cost in costs}
    points = {cost: mean_points(data, cost) for cost in costs}
    fronts = {cost: pareto_front(each) for cost, each in points.items() if times or cost is not TRAIN_SECONDS}
    with themed():
        figure, axes = panels(len(costs), 4.1, sharey=True)
        accuracies = np.concatenate([y for seeds in costs.values() for _, y in seeds.values()])
        by_errors = _scale_y(axes[0], float(accuracies.min()), float(accuracies.max()))
        axes[0].set_ylabel("test accuracy (%)")
        logarithmic = []
        for panel, (cost, seeds) in zip(axes, costs.items(), strict=True):
            _crosses(panel, seeds, looks, fronts.get(cost, []))
            if scale_x(panel, np.concatenate([x for x, _ in seeds.values()])):
                logarithmic.append(COSTS[cost])
            if cost in fronts:
                _steps(panel, [points[cost][method] for method in fronts[cost]])
            panel.set_xlabel(wrapped(f"{COSTS[cost]} ({units[cost]})", len(costs)))
        legend(figure, looks, methods, line=False)
        save(figure, path)
    described = "; ".join(
        f"{method}: {plus_minus(estimate(TEST_ACCURACY.values(data.finished[method]).values()), decimals=2)}% in "
        f"{plus_minus(estimate(TRAIN_SECONDS.values(data.finished[method]).values()))} s with "
        f"{exact(ACTIVATIONS.values(data.finished[method]).values())} MiB of activations"
        for method in methods
    )
    not_beaten = "; ".join(f"{COSTS[cost]}: {', '.join(front)}" for cost, front in fronts.items())
    no_front = "" if times else " No front is drawn in time, since cells ran side by side."
    logs = f" Logarithmic axis: {', '.join(logarithmic)}." if logarithmic else ""
    if by_errors:
        logs += (
            " The axis of accuracies is logarithmic in the errors: from 90% to 99% is about as far as from 0 to 90%."
        )
    return Picture(
        path.name,
        f"Scatter plots of test accuracy in percent against cost on {data.name}. {described}. "
        f"On the Pareto front, by cost: {not_beaten or 'not judged'}.",
        "What accuracy costs: up and to the left is better. "
        + (
            "Grey steps and black edges: the Pareto front, the methods whose means no other method beats in both. By "
            f"cost, cheapest first: {not_beaten}. "
            if fronts
            else ""
        )
        + spread_note(
            max(len(data.finished[method]) for method in methods),
            "Large markers",
            "lines: from the least to the most in both directions",
        )
        + no_front
        + logs,
    )


def _seeds(data: DatasetView, methods: Sequence[str], cost: Measure) -> Seeds:
    """Methods that have the cost and an accuracy for a seed."""
    points = {method: np.array(seeds).T for method, seeds in seed_points(data, methods, cost).items()}
    return {method: (x, y) for method, (x, y) in points.items()}


def _scale_y(panel: Axes, low: float, high: float) -> bool:
    """The axis of accuracies, in percent; where they are far apart, by the logarithm of the errors. True if so.

    Else a method that has hardly begun to learn would press all others into one line.
    """
    if high - low <= CROP_SPAN:
        margin = max(0.08 * (high - low), 0.25)
        panel.set_ylim(low - margin, min(high + margin, 100 + margin / 2))
        return False

    def place(accuracy: np.ndarray) -> np.ndarray:
        return -np.log10(np.maximum(100 + LEAST_ERROR - accuracy, 1e-9))

    def accuracy_at(place: np.ndarray) -> np.ndarray:
        return 100 + LEAST_ERROR - 10.0**-place

    panel.set_yscale("function", functions=(place, accuracy_at))
    ends = place(np.array([low, high])) + np.array([-0.1, 0.1])
    bottom, top = accuracy_at(ends)
    panel.set_ylim(bottom, top)
    panel.set_yticks([tick for tick in ERROR_TICKS if bottom <= tick <= top], minor=False)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return True


def _crosses(panel: Axes, seeds: Seeds, looks: Mapping[str, Look], front: Sequence[str]) -> None:
    """Each method's mean, its range over seeds in both directions, and each of a few seeds as a dot."""
    several = {method: (x, y) for method, (x, y) in seeds.items() if len(x) > 1}
    lines = [
        line
        for x, y in several.values()
        for line in ([(x.min(), y.mean()), (x.max(), y.mean())], [(x.mean(), y.min()), (x.mean(), y.max())])
    ]
    colors = [looks[method].color for method in several for _ in range(2)]
    panel.add_collection(LineCollection(lines, colors=colors, linewidths=1.2, alpha=0.8))
    for method, (x, y) in seeds.items():
        look = looks[method]
        if 1 < len(x) <= MAX_DOTS:
            panel.scatter(x, y, s=14, color=look.color, alpha=0.6, lw=0)
        edge, level = ("0.1", 6) if method in front else ("white", 5)
        panel.plot(x.mean(), y.mean(), color=look.color, marker=look.marker, ms=9, markeredgecolor=edge, zorder=level)


def _steps(panel: Axes, front: Sequence[tuple[float, float]]) -> None:
    """The border of what the front beats, to the edges of the panel; its limits are set."""
    costs, accuracies = zip(*front, strict=True)
    floor, edge = panel.get_ylim()[0], panel.get_xlim()[1]
    panel.plot(
        [costs[0], *costs, edge],
        [floor, *accuracies, accuracies[-1]],
        color="0.55",
        linewidth=1.2,
        drawstyle="steps-post",
        zorder=1.5,
        scalex=False,
        scaley=False,
    )
