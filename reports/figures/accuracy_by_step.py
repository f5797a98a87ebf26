"""Accuracy if inference stopped on its way."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from reports.figures.figure import Figure, Words
from reports.figures.seeds import BAND, most_seeds, over_seeds
from reports.figures.selection import shown
from reports.figures.style import Styles, draw_lines
from reports.statistics.diagnostics import step_frame
from reports.view import DatasetView

MEAN, LEAST, MOST = (f"accuracy_{name}_of_seeds_percent" for name in ("mean", "least", "most"))


class AccuracyByStep(Figure[DatasetView]):
    """Mean over seeds and a band from the least to the most, after the last epoch."""

    name = "accuracy-by-step"

    def frame(self, data: DatasetView) -> pd.DataFrame:
        rows = step_frame(data)
        rows = rows[rows["method"].isin(shown(data))]
        return over_seeds(rows, ["method", "time"], "accuracy", [MEAN, LEAST, MOST])

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        (panel,) = axes
        draw_lines(panel, frame, "time", MEAN, styles, band=(LEAST, MOST))
        panel.set(xlabel="time at which inference is stopped (0: noise, 1: its end)", ylim=(-2, 102))
        panel.set_ylabel("validation accuracy (%)")

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        halves = frame[(frame["time"] - 0.5).abs() < 1e-6].set_index("method")[MEAN]
        said = ", ".join(f"{method} {accuracy:.2f}%" for method, accuracy in halves.items())
        return Words(
            f"Line chart of accuracy against the time at which inference is stopped on {data.name}."
            + (f" Half way: {said}." if said else ""),
            "Accuracy if inference stopped early, after the last epoch: the class that the method's classifier reads "
            f"from z at that time. {'One seed per method.' if most_seeds(data) == 1 else BAND}",
        )
