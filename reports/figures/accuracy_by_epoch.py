"""Validation and test accuracy after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports.figures import style
from reports.figures.accuracy_axis import accuracy_words, draw_floor, floor_words, scale_accuracies, with_floor
from reports.figures.figure import Figure, Words
from reports.figures.seeds import BAND, MAX_DOTS, MEAN, most_seeds, over_seeds, with_few_seeds
from reports.figures.selection import highlighted, shown
from reports.view import DatasetView

ACCURACY, LEAST, MOST = "accuracy_percent", "least_of_seeds_percent", "most_of_seeds_percent"


def epoch_rows(data: DatasetView) -> pd.DataFrame:
    """A row per method, seed and epoch: accuracies in percent, and training seconds (no evaluation) up to its end."""
    rows = pd.DataFrame(
        [
            (method, cell.seed, epoch.epoch, epoch.val_accuracy, epoch.test_accuracy, elapsed)
            for method in shown(data)
            for cell in data.finished[method]
            for epoch, elapsed in zip(cell.epochs, accumulate(each.train_seconds for each in cell.epochs), strict=True)
        ],
        columns=["method", "seed", "epoch", "validation", "test", "training_time_seconds"],
    )
    return rows.assign(validation=rows["validation"].astype(float) * 100, test=rows["test"].astype(float) * 100)


class AccuracyByEpoch(Figure[DatasetView]):
    """Mean over seeds, a band from the least to the most accurate seed, and dots for a few seeds."""

    name = "accuracy-by-epoch"
    share = "y"

    def frame(self, data: DatasetView) -> pd.DataFrame:
        rows = epoch_rows(data)
        few = with_few_seeds(rows[rows["method"].isin(highlighted(data))])
        few = few[few.groupby("method")["epoch"].transform("nunique") <= 2 * style.MAX_MARKERS]
        parts = []
        for part in ("validation", "test"):
            means = over_seeds(rows, ["method", "epoch"], part, [ACCURACY, LEAST, MOST]).assign(seed=MEAN)
            parts.append(pd.concat([means, few.rename(columns={part: ACCURACY})]).assign(accuracy_of=part))
        columns = ["method", "accuracy_of", "seed", "epoch", ACCURACY, LEAST, MOST]
        return with_floor(pd.concat(parts)[columns], data.cells)

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        return 1, 2, style.HEIGHT_INCHES

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: style.Styles) -> None:
        for panel, (part, rows) in zip(axes, frame.groupby("accuracy_of", sort=False), strict=True):
            means, seeds = rows[rows["seed"] == MEAN], rows[rows["seed"] != MEAN]
            style.draw_lines(panel, means, "epoch", ACCURACY, styles, band=(LEAST, MOST))
            colors = [styles[method].color for method in seeds["method"]]
            panel.scatter(seeds["epoch"], seeds[ACCURACY], s=7, c=colors, alpha=0.45, lw=0, zorder=2)
            panel.set(title=f"{str(part).capitalize()} accuracy", xlabel="epoch", xlim=(0.5, rows["epoch"].max() + 0.5))
            style.whole_ticks(panel.xaxis)
        axes[0].set(ylabel="accuracy (%)")
        scale_accuracies(axes[0], *_extent(frame))
        draw_floor(axes[1], frame)

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        is_one = most_seeds(data) == 1
        dots = f" Small dots: single seeds (up to {MAX_DOTS})." if (frame["seed"] != MEAN).any() else ""
        means = frame[(frame["seed"] == MEAN) & (frame["accuracy_of"] == "test")].sort_values("epoch", kind="stable")
        last = means.groupby("method", sort=False)[ACCURACY].last()
        return Words(
            f"Line chart of validation and test accuracy in percent against epoch on {data.name}. Mean test accuracy "
            f"after the last epoch: {', '.join(f'{method} {accuracy:.2f}%' for method, accuracy in last.items())}.",
            "Validation and test accuracy after each evaluated epoch. "
            + ("One seed per method, so there is no band." if is_one else BAND + dots)
            + accuracy_words(*_extent(frame))
            + floor_words(frame),
        )


def _extent(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means = frame[frame["seed"] == MEAN]
    bests = means.groupby(["method", "accuracy_of"])[ACCURACY].max()
    return means[LEAST].to_numpy(), means[MOST].to_numpy(), bests.to_numpy()
