"""The figure of a sweep over learning rates: validation accuracy against the rate, a panel per family of methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from reports.figures.accuracy_axis import accuracy_words, scale_accuracies
from reports.figures.figure import Figure, Words
from reports.figures.labels import label_ends, named_lines
from reports.figures.style import Styles, draw_lines, plain_numbers
from reports.formats.markdown import number
from reports.grid_view import GridView
from reports.statistics.best_rate import best_rate
from reports.statistics.measures import VAL_ACCURACY
from reports.view import Family

MEAN, LOW, HIGH = "validation_accuracy_percent", "lowest_seed_percent", "highest_seed_percent"


class AccuracyByRate(Figure[GridView]):
    """Means over seeds, a band from the lowest to the highest seed, and a ring around each method's best rate."""

    name = "accuracy-by-learning-rate"
    legend = None

    def frame(self, source: GridView) -> pd.DataFrame:
        rows = [
            (str(source.families[method]), method, rate, sum(values) / len(values), min(values), max(values), best.rate)
            for family in Family
            for method, by_rate in source.cells.items()
            if source.families[method] is family and (best := best_rate(by_rate, source.default)) is not None
            for rate, cells in by_rate.items()
            if (values := list(VAL_ACCURACY.values(cells).values()))
        ]
        frame = pd.DataFrame(rows, columns=["family", "method", "learning_rate", MEAN, LOW, HIGH, "best"])
        frame["best"] = frame["best"] == frame["learning_rate"]
        return frame.assign(default=frame["learning_rate"] == source.default)

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        panels = frame["family"].nunique()
        return panels, 1, 0.5 + 2.6 * panels

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        rates = sorted(frame["learning_rate"].unique())
        for panel, (family, rows) in zip(axes, frame.groupby("family", sort=False), strict=True):
            draw_lines(panel, rows, "learning_rate", MEAN, styles, band=(LOW, HIGH))
            for method, best in rows[rows["best"]].groupby("method", sort=False):
                x, y = best["learning_rate"].to_numpy(), best[MEAN].to_numpy()
                panel.plot(x, y, "o", markersize=11, markerfacecolor="none", color=styles[str(method)].color)
            for rate in frame.loc[frame["default"], "learning_rate"].unique():
                panel.axvline(rate, color="0.2", linestyle=":", linewidth=1.6, zorder=1.1)
            panel.set(xscale="log", ylabel="validation accuracy (%)")
            panel.set_title(str(family), loc="left")
            panel.xaxis.set_major_locator(FixedLocator(rates))
            panel.xaxis.set_minor_locator(NullLocator())
            plain_numbers(panel.xaxis)
            scale_accuracies(panel, *_bounds(frame))
            named = named_lines(panel, styles)
            label_ends(panel, named, styles)
        axes[-1].set_xlabel("learning rate")

    def words(self, frame: pd.DataFrame, source: GridView) -> Words:
        best = frame[frame["best"]]
        rates = zip(best["method"], best["learning_rate"], best[MEAN], strict=True)
        said = ", ".join(f"{method} {rate:g} ({number(mean)}%)" for method, rate, mean in rates)
        return Words(
            f"Line charts of validation accuracy against learning rate on {source.dataset}, one line per method and a "
            f"panel per family. Best rates: {said}.",
            "Validation accuracy after the last epoch against the learning rate, means over seeds; bands: the lowest "
            "to the highest seed; ring: the method's best rate; dotted: the default rate. A rate at which every cell "
            f"failed has no point.{accuracy_words(*_bounds(frame))}",
        )


def _bounds(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest values, and the best mean of each method."""
    return frame[LOW].to_numpy(), frame[HIGH].to_numpy(), frame.groupby("method")[MEAN].max().to_numpy()
