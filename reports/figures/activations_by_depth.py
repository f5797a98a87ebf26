"""Activation memory against the depth of the network."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports.figures.figure import Figure, Words
from reports.figures.selection import shown
from reports.figures.style import Styles, draw_lines
from reports.formats.markdown import number
from reports.statistics.measures import MIB, depth_profile
from reports.view import DatasetView

HELD = "activations_mean_of_seeds_mib"


class ActivationsByDepth(Figure[DatasetView]):
    """One line per method."""

    name = "activations-by-depth"

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        rows = [
            (method, T, fmean(held) / MIB)
            for method in shown(data)
            for T, held in depth_profile(data.finished[method]).items()
        ]
        frame = pd.DataFrame(rows, columns=["method", "T", HELD])
        return frame if frame["T"].nunique() > 1 else None

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        (panel,) = axes
        strong = frame[[styles[method].highlighted for method in frame["method"]]]
        draw_lines(panel, frame.drop(strong.index), "T", HELD, styles)
        curves = [rows for _, rows in strong.groupby("method", sort=False)]
        for index, rows in enumerate(curves):
            # Methods often hold nearly the same bytes: thick below thin shows both.
            above = sum(_coincide(rows, later) for later in curves[index + 1 :])
            size = 6.5 + 3.5 * above
            draw_lines(panel, rows, "T", HELD, styles, linewidth=1.6 + 2.2 * above, markersize=size)
        panel.set(xlabel="depth T (blocks)", ylabel="activation memory (MiB)", xticks=frame["T"].unique())
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        ends = ", ".join(
            f"{method} from {number(rows[HELD].iloc[0])} MiB at T = {rows['T'].iloc[0]} "
            f"to {number(rows[HELD].iloc[-1])} MiB at T = {rows['T'].iloc[-1]}"
            for method, rows in frame.groupby("method", sort=False)
        )
        return Words(
            f"Line chart of activation memory against the depth T on {data.name}: {ends}.",
            "Activation memory at the peak of one training step if the stack has T blocks. It is counted, not sampled, "
            "so there are no error bars. Lines that nearly coincide are drawn thin upon thick.",
        )


def _coincide(rows: pd.DataFrame, others: pd.DataFrame) -> bool:
    return rows["T"].tolist() == others["T"].tolist() and np.allclose(rows[HELD], others[HELD], rtol=0.01)
