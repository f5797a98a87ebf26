"""What accuracy costs: test accuracy against time, activations and GPU memory, each with its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports.figures import style
from reports.figures.accuracy_axis import accuracy_words, draw_floor, floor_words, scale_accuracies, with_floor
from reports.figures.figure import Figure, Words
from reports.figures.seeds import MAX_DOTS, MEAN, spread_note
from reports.figures.selection import shown
from reports.formats.markdown import exact, plus_minus
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS
from reports.statistics.pareto import COSTS, mean_points, pareto_front, seed_points
from reports.view import DatasetView

COST_LEAST, COST_MOST, ON_FRONT = "cost_least_of_seeds", "cost_most_of_seeds", "on_pareto_front"
ACCURACY = "test_accuracy_percent"
LEAST, MOST = "test_accuracy_least_of_seeds_percent", "test_accuracy_most_of_seeds_percent"


class TradeOff(Figure[DatasetView]):
    """A large marker for the mean of each method, lines for the range over seeds, and dots for a few seeds."""

    name = "trade-off"
    legend = "margin"
    share = "y"

    def frame(self, data: DatasetView) -> pd.DataFrame:
        rows: list[tuple[object, ...]] = []
        for cost in COSTS:
            front = None if cost is TRAIN_SECONDS and data.sharing else pareto_front(mean_points(data, cost))
            for method, points in seed_points(data, shown(data), cost).items():
                x, y = np.array(list(points.values())).T
                who = (cost.name, cost.unit, method)
                is_on = None if front is None else method in front
                rows.append((*who, MEAN, len(x), x.mean(), x.min(), x.max(), y.mean(), y.min(), y.max(), is_on))
                if 1 < len(x) <= MAX_DOTS:
                    rows += [(*who, seed, 1, a, None, None, b, None, None, is_on) for seed, (a, b) in points.items()]
        costs = ["cost_of", "cost_unit", "method", "seed", "seeds", "cost", COST_LEAST, COST_MOST]
        return with_floor(pd.DataFrame(rows, columns=[*costs, ACCURACY, LEAST, MOST, ON_FRONT]), data.cells)

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        return 1, frame["cost_of"].nunique(), style.HEIGHT_INCHES

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: style.Styles) -> None:
        scale_accuracies(axes[0], *_extent(frame))
        axes[0].set_ylabel("test accuracy (%)")
        for panel in axes:
            draw_floor(panel, frame)
        for panel, ((name, unit), rows) in zip(axes, frame.groupby(["cost_of", "cost_unit"], sort=False), strict=True):
            means, seeds = rows[rows["seed"] == MEAN], rows[rows["seed"] != MEAN]
            colors = [styles[method].color for method in means["method"]]
            ranges: dict[str, Any] = {"colors": colors, "linewidths": 1.2, "alpha": 0.8}
            panel.hlines(means[ACCURACY], means[COST_LEAST], means[COST_MOST], **ranges)
            panel.vlines(means["cost"], means[LEAST], means[MOST], **ranges)
            colors = [styles[method].color for method in seeds["method"]]
            panel.scatter(seeds["cost"], seeds[ACCURACY], s=14, c=colors, alpha=0.6, lw=0)
            for method, x, y, is_on in means[["method", "cost", ACCURACY, ON_FRONT]].itertuples(index=False):
                edge, level = ("0.1", 6) if is_on else ("white", 5)
                panel.plot(
                    x, y, **styles[method].line | {"markersize": 9, "markeredgecolor": edge}, zorder=level, label=method
                )
            style.scale_x(panel, _ends(means), 6 if len(axes) < 3 else 4)
            _draw_front(panel, _front(rows))
            panel.set_xlabel(style.wrapped(f"{name} ({unit})", len(axes)))

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        fronts = _fronts(frame)
        text = "What accuracy costs: up and to the left is better. "
        if fronts:
            text += (
                "Grey steps and black edges: the Pareto front, the methods whose means no other method beats in both. "
                f"By cost, cheapest first: {fronts}. "
            )
        text += spread_note(data, "Large markers", "lines: from the least to the most in both directions")
        if data.sharing:
            text += f" No front is drawn in time, since {data.sharing}."
        costs = frame.groupby("cost_of", sort=False)
        logarithmic = [str(name) for name, rows in costs if style.is_logarithmic(_ends(rows))]
        text += f" Logarithmic axis: {', '.join(logarithmic)}." if logarithmic else ""
        if any(style.is_logarithmic(_ends(rows)) and (rows["cost"] == 0).any() for _, rows in costs):
            text += " Below the least cost that is not 0, the axis is linear."
        text += accuracy_words(*_extent(frame)) + floor_words(frame)
        methods = [
            f"{method}: {plus_minus(TEST_ACCURACY.mean(cells), decimals=2)}% in "
            f"{plus_minus(TRAIN_SECONDS.mean(cells))} s with "
            f"{exact(ACTIVATIONS.values(cells).values())} MiB of activation memory"
            for method in frame["method"].unique()
            if (cells := data.finished[method])
        ]
        return Words(
            f"Scatter plots of test accuracy in percent against cost on {data.name}. {'; '.join(methods)}. "
            f"On the Pareto front, by cost: {fronts or 'not judged'}.",
            text,
        )


def _ends(rows: pd.DataFrame) -> pd.Series:
    ends: pd.Series = pd.concat([rows[COST_LEAST], rows[COST_MOST]])
    return ends


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    """The means on the front of one cost, cheapest first."""
    is_on = rows[ON_FRONT].fillna(value=False).astype(bool)
    return rows[is_on & (rows["seed"] == MEAN)].sort_values(["cost", ACCURACY])


def _fronts(frame: pd.DataFrame) -> str:
    fronts = {str(name): _front(rows)["method"] for name, rows in frame.groupby("cost_of", sort=False)}
    return "; ".join(f"{name}: {', '.join(methods)}" for name, methods in fronts.items() if len(methods))


def _draw_front(panel: Axes, front: pd.DataFrame) -> None:
    """The border of what the front beats, to the edges of the panel; its limits are set."""
    if front.empty:
        return
    costs, accuracies = front["cost"].tolist(), front[ACCURACY].tolist()
    x, y = [costs[0], *costs, panel.get_xlim()[1]], [panel.get_ylim()[0], *accuracies, accuracies[-1]]
    panel.plot(x, y, color="0.55", lw=1.2, drawstyle="steps-post", zorder=1.5, scalex=False, scaley=False)


def _extent(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return frame[LEAST].dropna().to_numpy(), frame[MOST].dropna().to_numpy(), frame[ACCURACY].to_numpy()
