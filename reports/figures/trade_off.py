"""The picture of what accuracy costs: time, activations and GPU memory, each with its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter

from reports.figures.style import (
    CROP_SPAN,
    MAX_DOTS,
    MEAN,
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
from reports.formats.markdown import exact, plus_minus
from reports.statistics.estimates import estimate
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.pareto import COSTS, mean_points, pareto_front, seed_points
from reports.view import DatasetView

MIN_ERROR = 0.1
"""Percent, added to every error where they are drawn by their logarithms, so that one of 0 has a place."""
ERROR_TICKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 100)


class Mark(NamedTuple):
    """The mean of a method with its range over seeds in both directions, or one seed's point, which has none."""

    method: str
    seed: int | str
    seeds: int
    cost: float
    accuracy: float
    """In percent."""
    cost_least: float = math.nan
    cost_most: float = math.nan
    accuracy_least: float = math.nan
    accuracy_most: float = math.nan


_COLUMNS = {
    "name": "cost_of",
    "unit": "cost_unit",
    "method": "method",
    "seed": "seed",
    "seeds": "seeds",
    "cost": "cost",
    "cost_least": "cost_least_of_seeds",
    "cost_most": "cost_most_of_seeds",
    "accuracy": "test_accuracy_percent",
    "accuracy_least": "test_accuracy_least_of_seeds_percent",
    "accuracy_most": "test_accuracy_most_of_seeds_percent",
    "on_front": "on_pareto_front",
}
"""Columns of the numbers that are drawn, by their names in the file."""


def trade_off(
    data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path, *, sharing: str | None = None
) -> Picture | None:
    """Test accuracy against training time and, beside it, against activation bytes: one point a method.

    Where times are not to be compared (`sharing` says why), there is no front in them.
    """
    costs = {cost: marks for cost in COSTS if (marks := _marks(data, methods, cost))}
    if not costs:
        return None
    units = {cost: "s" if cost is TRAIN_SECONDS else "MiB" for cost in costs}
    points = {cost: mean_points(data, cost) for cost in costs}
    fronts = {cost: pareto_front(each) for cost, each in points.items() if sharing is None or cost is not TRAIN_SECONDS}
    with themed():
        figure, axes = panels(len(costs), 4.1, sharey=True)
        means = [mean for marks in costs.values() for mean in _means(marks)]
        lowest, highest = min(mean.accuracy_least for mean in means), max(mean.accuracy_most for mean in means)
        by_errors = _scale_y(axes[0], lowest, highest)
        axes[0].set_ylabel("test accuracy (%)")
        logarithmic = []
        for panel, (cost, marks) in zip(axes, costs.items(), strict=True):
            _crosses(panel, marks, looks, fronts.get(cost, []))
            if scale_x(panel, [end for mean in _means(marks) for end in (mean.cost_least, mean.cost_most)]):
                logarithmic.append(COSTS[cost])
            if cost in fronts:
                _steps(panel, [points[cost][method] for method in fronts[cost]])
            panel.set_xlabel(wrapped(f"{COSTS[cost]} ({units[cost]})", len(costs)))
        legend(figure, looks, methods, line=False)
        drawn = [
            _frame(marks, fronts.get(cost)).assign(name=COSTS[cost], unit=units[cost]) for cost, marks in costs.items()
        ]
        save(figure, path, pd.concat(drawn), _COLUMNS)
    described = "; ".join(
        f"{method}: {plus_minus(estimate(TEST_ACCURACY.values(data.finished[method]).values()), decimals=2)}% in "
        f"{plus_minus(estimate(TRAIN_SECONDS.values(data.finished[method]).values()))} s with "
        f"{exact(ACTIVATIONS.values(data.finished[method]).values())} MiB of activations"
        for method in methods
    )
    not_beaten = "; ".join(f"{COSTS[cost]}: {', '.join(front)}" for cost, front in fronts.items())
    no_front = "" if sharing is None else f" No front is drawn in time, since {sharing}."
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


def _marks(data: DatasetView, methods: Sequence[str], cost: Measure) -> list[Mark]:
    """Each method's mean and, where they are few, its seeds; of methods with the cost and an accuracy for a seed."""
    marks = []
    for method, seeds in seed_points(data, methods, cost).items():
        x, y = np.array(list(seeds.values())).T
        marks.append(Mark(method, MEAN, len(seeds), x.mean(), y.mean(), x.min(), x.max(), y.min(), y.max()))
        if 1 < len(seeds) <= MAX_DOTS:
            marks += [Mark(method, seed, 1, *point) for seed, point in seeds.items()]
    return marks


def _means(marks: Sequence[Mark]) -> list[Mark]:
    return [mark for mark in marks if mark.seed == MEAN]


def _frame(marks: Sequence[Mark], front: Sequence[str] | None) -> pd.DataFrame:
    """The marks, and whether each one's method is on the front; None where none is drawn."""
    return pd.DataFrame(marks).assign(on_front=None if front is None else [mark.method in front for mark in marks])


def _scale_y(panel: Axes, low: float, high: float) -> bool:
    """The axis of accuracies, in percent; where they are far apart, by the logarithm of the errors. True if so.

    Else a method that has hardly begun to learn would press all others into one line.
    """
    if high - low <= CROP_SPAN:
        margin = max(0.08 * (high - low), 0.25)
        panel.set_ylim(low - margin, min(high + margin, 100 + margin / 2))
        return False

    def place(accuracy: np.ndarray) -> np.ndarray:
        return -np.log10(np.maximum(100 + MIN_ERROR - accuracy, 1e-9))

    def accuracy_at(place: np.ndarray) -> np.ndarray:
        return 100 + MIN_ERROR - 10.0**-place

    panel.set_yscale("function", functions=(place, accuracy_at))
    ends = place(np.array([low, high])) + np.array([-0.1, 0.1])
    bottom, top = accuracy_at(ends)
    panel.set_ylim(bottom, top)
    panel.set_yticks([tick for tick in ERROR_TICKS if bottom <= tick <= top], minor=False)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return True


def _crosses(panel: Axes, marks: Sequence[Mark], looks: Mapping[str, Look], front: Sequence[str]) -> None:
    """Each method's mean, its range over seeds in both directions, and each of a few seeds as a dot."""
    several = [mean for mean in _means(marks) if mean.seeds > 1]
    lines = [
        line
        for mean in several
        for line in (
            [(mean.cost_least, mean.accuracy), (mean.cost_most, mean.accuracy)],
            [(mean.cost, mean.accuracy_least), (mean.cost, mean.accuracy_most)],
        )
    ]
    colors = [looks[mean.method].color for mean in several for _ in range(2)]
    panel.add_collection(LineCollection(lines, colors=colors, linewidths=1.2, alpha=0.8))
    for mean in _means(marks):
        look = looks[mean.method]
        dots = [mark for mark in marks if mark.method == mean.method and mark.seed != MEAN]
        if dots:
            x, y = [dot.cost for dot in dots], [dot.accuracy for dot in dots]
            panel.scatter(x, y, s=14, color=look.color, alpha=0.6, lw=0)
        edge, level = ("0.1", 6) if mean.method in front else ("white", 5)
        panel.plot(
            mean.cost, mean.accuracy, color=look.color, marker=look.marker, ms=9, markeredgecolor=edge, zorder=level
        )


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
