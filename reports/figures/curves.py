"""Pictures of accuracy as training goes on: against the epoch, and against the seconds spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from reports.figures.style import (
    MAX_DOTS,
    MEAN,
    Look,
    Picture,
    accuracy_limits,
    bands,
    legend,
    panels,
    save,
    scale_x,
    themed,
)
from reports.view import DatasetView

MAX_MARKERS = 12
_BY_EPOCH = {
    "method": "method",
    "accuracy_of": "accuracy_of",
    "seed": "seed",
    "epoch": "epoch",
    "accuracy": "accuracy_percent",
    "min": "least_of_seeds_percent",
    "max": "most_of_seeds_percent",
}
_BY_TIME = {
    "method": "method",
    "seed": "seed",
    "epoch": "epoch",
    "elapsed_seconds": "training_time_seconds",
    "val_accuracy": "validation_accuracy_percent",
}
"""Columns of the numbers that are drawn, by their names in the file."""


def epoch_means(data: DatasetView, methods: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracies in percent of every epoch: one row for each seed, and mean, least and most over seeds.

    `elapsed_seconds` is the training time spent by the end of the epoch, evaluation not counted. The second frame has
    the index (method, epoch) and the columns (field, statistic).
    """
    fields = ["val_accuracy", "test_accuracy"]
    rows = pd.DataFrame(
        [
            (method, cell.seed, epoch.epoch, epoch.val_accuracy, epoch.test_accuracy, elapsed)
            for method in methods
            for cell in data.finished[method]
            for epoch, elapsed in zip(cell.epochs, accumulate(each.train_seconds for each in cell.epochs), strict=True)
        ],
        columns=["method", "seed", "epoch", *fields, "elapsed_seconds"],
    )
    if rows.empty:
        return rows, rows
    rows[fields] *= 100
    grouped = rows.groupby(["method", "epoch"], sort=True)[[*fields, "elapsed_seconds"]]
    return rows, grouped.agg(["mean", "min", "max"])


def accuracy_by_epoch(
    rows: pd.DataFrame, means: pd.DataFrame, methods: Sequence[str], looks: Mapping[str, Look], path: Path, name: str
) -> Picture:
    """Validation and test accuracy against the epoch: mean over seeds, and a band from the least to the most."""
    fields = {"val_accuracy": "validation", "test_accuracy": "test"}
    with themed():
        figure, axes = panels(2, 4.1, sharey=True)
        drawn = []
        for panel, (field, title) in zip(axes, fields.items(), strict=True):
            of_field = means[field]
            curves = {method: of_field.loc[method] for method in methods}
            bands(panel, curves, looks)
            for method, curve in curves.items():
                look = looks[method]
                _marked_line(panel, curve.index, curve["mean"], look, markersize=6)
                marks = [curve.reset_index().rename(columns={"mean": field}).assign(seed=MEAN)]
                seeds = rows[rows["method"] == method]
                if seeds["seed"].nunique() in range(2, MAX_DOTS + 1) and len(curve) <= 2 * MAX_MARKERS:
                    panel.scatter(seeds["epoch"], seeds[field], s=9, color=look.color, alpha=0.6, lw=0, zorder=2)
                    marks.append(seeds)
                drawn += [each.assign(method=method, accuracy_of=title, accuracy=each[field]) for each in marks]
            panel.set(title=f"{title.capitalize()} accuracy", xlabel="epoch")
            panel.set_xlim(0.5, rows["epoch"].max() + 0.5)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        low, high, cropped = _limits(means, list(fields))
        axes[0].set(ylabel="accuracy (%)", ylim=(low, high))
        legend(figure, looks, methods)
        save(figure, path, pd.concat(drawn), _BY_EPOCH)
    ends = _last(means, methods, "test_accuracy")
    return Picture(
        path.name,
        f"Line chart of validation and test accuracy in percent against epoch on {name}. "
        f"Mean test accuracy after the last epoch: {ends}.",
        "Validation and test accuracy after each evaluated epoch. " + _what_lines_are(rows, low if cropped else None),
    )


def accuracy_by_time(
    rows: pd.DataFrame, means: pd.DataFrame, methods: Sequence[str], looks: Mapping[str, Look], path: Path, name: str
) -> Picture:
    """Validation accuracy against training seconds: the mean of both over seeds, and thin lines for the seeds."""
    with themed():
        figure, (panel,) = panels(1, 4.1)
        drawn = []
        for method in methods:
            curve, look = means.loc[method], looks[method]
            line = pd.DataFrame({field: curve[field, "mean"] for field in ("elapsed_seconds", "val_accuracy")})
            marks = [line.reset_index().assign(method=method, seed=MEAN)]
            seeds = rows[rows["method"] == method]
            if seeds["seed"].nunique() in range(2, MAX_DOTS + 1):
                paths = [seed[["elapsed_seconds", "val_accuracy"]].to_numpy() for _, seed in seeds.groupby("seed")]
                panel.add_collection(LineCollection(paths, colors=[look.color], linewidths=0.8, alpha=0.45))
                marks.append(seeds)
            _marked_line(panel, line["elapsed_seconds"], line["val_accuracy"], look, markersize=6.5)
            drawn += marks
        totals = means["elapsed_seconds", "mean"].groupby(level="method").max()
        if scale_x(panel, rows.groupby(["method", "seed"])["elapsed_seconds"].max()):
            firsts = means["elapsed_seconds", "mean"]
            panel.set_xlim(left=float(firsts[firsts > 0].min()) / 1.35)
        low, high, cropped = _limits(means, ["val_accuracy"])
        panel.set(xlabel="training time (s)", ylabel="validation accuracy (%)", ylim=(low, high))
        legend(figure, looks, methods)
        save(figure, path, pd.concat(drawn), _BY_TIME)
    spent = ", ".join(f"{method} {totals[method]:,.3g} s" for method in methods)
    lines = (
        "One seed for each method."
        if rows["seed"].nunique() == 1
        else "Marked lines join the mean accuracy and mean time over seeds at the ends of epochs; thin lines: single "
        f"seeds (up to {MAX_DOTS})."
    )
    return Picture(
        path.name,
        f"Line chart of validation accuracy in percent against seconds of training on {name}. "
        f"Mean training time of the whole training: {spent}.",
        f"Validation accuracy against training time; evaluation is not on the clock. {lines}"
        + _below(low if cropped else None),
    )


def _limits(means: pd.DataFrame, fields: list[str]) -> tuple[float, float, bool]:
    lows = np.concatenate([means[field, "min"].to_numpy() for field in fields])
    highs = np.concatenate([means[field, "max"].to_numpy() for field in fields])
    bests = np.concatenate([means[field, "mean"].groupby(level="method").max().to_numpy() for field in fields])
    return accuracy_limits(lows, highs, bests)


def _marked_line(panel: Axes, x: pd.Index | pd.Series, y: pd.Series, look: Look, markersize: float) -> None:
    """A method's line in its colour, with a marker on at most `MAX_MARKERS` of its points."""
    panel.plot(
        x.to_numpy(),
        y.to_numpy(),
        color=look.color,
        marker=look.marker,
        markevery=max(1, -(-len(x) // MAX_MARKERS)),
        markersize=markersize,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )


def _last(means: pd.DataFrame, methods: Sequence[str], field: str) -> str:
    return ", ".join(f"{method} {means.loc[method][field, 'mean'].iloc[-1]:.2f}%" for method in methods)


def _what_lines_are(rows: pd.DataFrame, cropped_at: float | None) -> str:
    if rows["seed"].nunique() == 1:
        return "One seed for each method, so there is no band." + _below(cropped_at)
    most = int(rows.groupby("method")["seed"].nunique().max())
    points = int(rows.groupby("method")["epoch"].nunique().min())
    dots = " Small dots: single seeds." if most <= MAX_DOTS and points <= 2 * MAX_MARKERS else ""
    return (
        "Lines: mean over seeds. Bands: from the least to the most accurate seed (not a confidence interval)."
        + dots
        + _below(cropped_at)
    )


def _below(cropped_at: float | None) -> str:
    return "" if cropped_at is None else f" Accuracies below {cropped_at:.0f}% are off the picture."
