"""Validation accuracy against the training time spent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from reports.figures.accuracy_axis import accuracy_words, scale_accuracies
from reports.figures.accuracy_by_epoch import epoch_rows
from reports.figures.figure import Figure, Words
from reports.figures.seeds import MAX_DOTS, MEAN, most_seeds, with_few_seeds
from reports.figures.selection import highlighted
from reports.figures.style import Styles, draw_lines, scale_x
from reports.view import DatasetView

TIME, ACCURACY = "training_time_seconds", "validation_accuracy_percent"


class AccuracyByTime(Figure[DatasetView]):
    """The mean of both over seeds at the end of each epoch, and thin lines for a few seeds."""

    name = "accuracy-by-time"

    def frame(self, data: DatasetView) -> pd.DataFrame:
        rows = epoch_rows(data).rename(columns={"validation": ACCURACY})
        means = rows.groupby(["method", "epoch"], sort=False)[[TIME, ACCURACY]].mean().reset_index()
        few = with_few_seeds(rows[rows["method"].isin(highlighted(data))])
        return pd.concat([means.assign(seed=MEAN), few])[["method", "seed", "epoch", TIME, ACCURACY]]

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        (panel,) = axes
        means, seeds = frame[frame["seed"] == MEAN], frame[frame["seed"] != MEAN]
        each_seed = [rows for _, rows in seeds.groupby(["method", "seed"])]
        colors = [styles[rows["method"].iloc[0]].color for rows in each_seed]
        lines = [rows[[TIME, ACCURACY]].to_numpy() for rows in each_seed]
        panel.add_collection(LineCollection(lines, colors=colors, linewidths=0.8, alpha=0.3))
        draw_lines(panel, means, TIME, ACCURACY, styles, markersize=6.5)
        if scale_x(panel, frame.groupby(["method", "seed"])[TIME].max()):
            panel.set_xlim(left=float(means.loc[means[TIME] > 0, TIME].min()) / 1.35)
        panel.set(xlabel="training time (s)", ylabel="validation accuracy (%)")
        scale_accuracies(panel, *_extent(frame))

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        lines = (
            "One seed per method."
            if most_seeds(data) == 1
            else "Lines with markers: mean accuracy and mean time over seeds at the end of each epoch; thin lines: "
            f"single seeds (up to {MAX_DOTS})."
        )
        totals = frame[frame["seed"] == MEAN].groupby("method", sort=False)[TIME].max()
        return Words(
            f"Line chart of validation accuracy in percent against seconds of training on {data.name}. Mean time of "
            f"the whole training: {', '.join(f'{method} {seconds:,.3g} s' for method, seconds in totals.items())}.",
            f"Validation accuracy against training time, which does not include evaluation. {lines}"
            + accuracy_words(*_extent(frame)),
        )


def _extent(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    accuracies = frame[ACCURACY].to_numpy()
    bests = frame[frame["seed"] == MEAN].groupby("method")[ACCURACY].max()
    return accuracies, accuracies, bests.to_numpy()
