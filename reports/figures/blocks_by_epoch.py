"""What each block learns as training goes on."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap

from reports.figures.blocks import chosen, left_out, scale_y
from reports.figures.figure import Figure, Words
from reports.figures.style import Styles, whole_ticks
from reports.statistics.diagnostics import block_frame, methods_with_blocks
from reports.view import DatasetView

MAX_METHODS = 3
"""Each has a row of panels."""
MAX_MARKED_EPOCHS = 24
BRIGHTEST = 0.92
"""Of viridis: its last yellow cannot be seen on white."""
ACCURACY, ERROR = "own_accuracy_mean_of_seeds_percent", "denoising_error_mean_of_seeds"


class BlocksByEpoch(Figure[DatasetView]):
    """Accuracy and denoising error on a block's own task, mean over seeds: a row per method, a line per block."""

    name = "blocks-by-epoch"
    legend = None
    share = "x"

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        rows = block_frame(data, methods=chosen(data, MAX_METHODS))
        if rows["epoch"].nunique() < 2 or block_frame(data, only_last=True).empty:
            return None
        rows = rows.rename(columns={"number": "block", "own_accuracy": ACCURACY, "denoising_error": ERROR})
        means = rows.groupby(["method", "block", "epoch"], sort=False)[["time", ACCURACY, ERROR]].mean().reset_index()
        return means[["method", "block", "time", "epoch", ACCURACY, ERROR]]

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        methods = frame["method"].nunique()
        return methods, 2, 0.5 + 3.2 * methods

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        pairs = zip(axes[::2], axes[1::2], frame.groupby("method", sort=False), strict=True)
        for accuracy, error, (method, rows) in pairs:
            times = np.sort(rows["time"].unique())
            shades = mpl.colormaps["viridis"](np.linspace(0, BRIGHTEST, len(times)))
            marker = "o" if rows["epoch"].nunique() <= MAX_MARKED_EPOCHS else ""
            for shade, (_, curve) in zip(shades, rows.sort_values("epoch").groupby("time"), strict=True):
                for panel, column in ((accuracy, ACCURACY), (error, ERROR)):
                    panel.plot(curve["epoch"], curve[column], color=shade, lw=1.6, marker=marker, markersize=3.5)
            accuracy.set(title=method, ylabel="accuracy on own task (%)")
            error.set(title=method, ylabel="error, |û − u|² / |u|²")
            scale_y(error, rows[ERROR])
            _colorbar([accuracy, error], times, shades)
        for panel in axes[-2:]:
            panel.set_xlabel("epoch")
            whole_ticks(panel.xaxis)

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        return Words(
            f"Line charts of each block's accuracy and denoising error against the epoch on {data.name}, for "
            f"{', '.join(frame['method'].unique())}.",
            "Each block on its own task after each evaluated epoch, mean over seeds, one colour per block."
            + left_out(MAX_METHODS, methods_with_blocks(data)),
        )


def _colorbar(row: list[Axes], times: np.ndarray, shades: np.ndarray) -> None:
    """Which colour is which block."""
    scale = ScalarMappable(BoundaryNorm(np.arange(len(times) + 1) - 0.5, len(times)), ListedColormap(shades))
    step = -(-len(times) // 10)
    label = "time of the input (0: pure noise)"
    bar = row[0].figure.colorbar(scale, ax=row, ticks=range(0, len(times), step), label=label)
    bar.ax.set_yticklabels([f"{time:.3g}" for time in times[::step]])
    bar.minorticks_off()
