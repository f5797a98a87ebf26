"""The figure of `bench.scale --accuracy`: test accuracy, operations and activation memory against depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from reports.figures.accuracy_axis import accuracy_words, scale_accuracies
from reports.figures.figure import Figure, Words
from reports.figures.style import Styles, plain_numbers
from reports.formats.markdown import number
from reports.grid_view import GridView
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_FLOPS

ACCURACY, HALF = "test_accuracy_percent", "half_of_95_interval_points"
OPERATIONS, MEMORY = "train_mflop_per_image", "activations_mib"
_APART = 1.06
"""Factor by which neighbouring methods are moved apart in T, so that bars and equal values can be seen."""


class AccuracyByDepth(Figure[GridView]):
    """Three panels against T: means over seeds, of accuracy with their intervals."""

    name = "accuracy-by-depth"
    legend = "lines"

    def frame(self, source: GridView) -> pd.DataFrame:
        rows = []
        for method, by_depth in source.cells.items():
            for depth, cells in by_depth.items():
                accuracy, operations, memory = (each.mean(cells) for each in (TEST_ACCURACY, TRAIN_FLOPS, ACTIVATIONS))
                if accuracy and operations and memory:
                    half = accuracy.half_width or 0.0
                    rows.append((method, int(depth), accuracy.n, accuracy.mean, half, operations.mean, memory.mean))
        return pd.DataFrame(rows, columns=["method", "T", "seeds", ACCURACY, HALF, OPERATIONS, MEMORY])

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        return 1, 3, 3.6

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        labels = {
            ACCURACY: "test accuracy (%)",
            OPERATIONS: "operations (MFLOP per image)",
            MEMORY: "activation memory (MiB)",
        }
        for panel, (column, label) in zip(axes, labels.items(), strict=True):
            for place, (method, rows) in enumerate(frame.groupby("method", sort=False)):
                apart = _APART ** (place - (len(styles) - 1) / 2) if column != MEMORY else 1.0
                low, high, _ = _bounds(rows)
                bars = (rows[ACCURACY] - low, high - rows[ACCURACY]) if column == ACCURACY else None
                panel.errorbar(
                    rows["T"] * apart, rows[column], yerr=bars, linewidth=1.6, capsize=3, **styles[str(method)].line
                )
            panel.set(xscale="log", xlabel="number of blocks T", ylabel=label)
            panel.xaxis.set_major_locator(FixedLocator(sorted(frame["T"].unique())))
            panel.xaxis.set_minor_locator(NullLocator())
            plain_numbers(panel.xaxis)
            if column == ACCURACY:
                scale_accuracies(panel, *_bounds(frame))
            else:
                panel.set_yscale("log")
                panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                panel.yaxis.set_minor_locator(NullLocator())
                plain_numbers(panel.yaxis)

    def words(self, frame: pd.DataFrame, source: GridView) -> Words:
        said = []
        for method, rows in frame.groupby("method", sort=False):
            means = zip(rows["T"], rows[ACCURACY], strict=True)
            said.append(f"{method} {', '.join(f'{number(mean)}% at {depth}' for depth, mean in means)}")
        return Words(
            f"Line charts of test accuracy, training operations and activation memory against the number of blocks T "
            f"on {source.dataset}, one line per method. Test accuracy: {'; '.join(said)}.",
            "Test accuracy after the last epoch, counted operations of a training step, and activation memory at its "
            "peak against the number of blocks: means over seeds. Bars: 95% intervals of the mean over seeds; a single "
            f"seed has none.{accuracy_words(*_bounds(frame))}",
        )


def _bounds(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of the bars, within what an accuracy can be, and the best mean of each method."""
    mean, half = frame[ACCURACY].to_numpy(), frame[HALF].to_numpy()
    best = frame.groupby("method")[ACCURACY].max().to_numpy()
    return np.maximum(mean - half, 0.0), np.minimum(mean + half, 100.0), best
