"""Pictures of what blocks learn: after training, as training goes on, and along the way of inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from reports.figures.style import MAX_DRAWN, WIDTH_INCHES, Look, Picture, bands, legend, panels, save, themed
from reports.statistics.diagnostics import block_frame, methods_in, methods_with_blocks, step_frame
from reports.view import DatasetView

MAX_METHODS = 6
"""Methods with blocks in one picture: each has two lines in a panel. The tables hold them all."""
MAX_METHODS_BY_EPOCH = 3
"""Methods with a row of panels each in the picture of blocks by epoch."""
MAX_MARKED_EPOCHS = 24
BRIGHTEST = 0.92
"""Of viridis: its last yellow cannot be seen on white."""
LOG_SPREAD = 30.0
_OVER_SEEDS = {"mean": "mean_of_seeds", "min": "least_of_seeds", "max": "most_of_seeds"}
_BLOCKS = {name: name for name in ("method", "quantity", "unit", "time")} | _OVER_SEEDS
_BY_EPOCH = {
    "method": "method",
    "number": "block",
    "time": "time",
    "epoch": "epoch",
    "own_accuracy": "own_accuracy_mean_of_seeds_percent",
    "denoising_error": "denoising_error_mean_of_seeds",
}
_BY_STEP = {"method": "method", "time": "time"} | {key: f"accuracy_{name}_percent" for key, name in _OVER_SEEDS.items()}
"""Columns of the numbers that are drawn, by their names in the file; times have no unit: inference goes from 0 to 1."""
_BAND = "Lines: mean over seeds; bands: from the least to the most (not a confidence interval)."


def draw_blocks(data: DatasetView, looks: Mapping[str, Look], folder: Path, prefix: str) -> dict[str, Picture]:
    """Draw what the data set's diagnostics have numbers for, as `folder/<prefix>-<name>.png`, `.svg` and `.csv`.

    Returns:
        The pictures by name: `blocks`, `blocks-by-epoch`, `accuracy-by-step`.
    """
    blocks, steps = block_frame(data, only_last=True), step_frame(data)
    pictures: dict[str, Picture | None] = {}
    if not blocks.empty:
        pictures["blocks"] = _blocks(blocks, looks, folder / f"{prefix}-blocks.png", data.name)
        pictures["blocks-by-epoch"] = _by_epoch(data, folder / f"{prefix}-blocks-by-epoch.png")
    if not steps.empty:
        pictures["accuracy-by-step"] = _steps(steps, looks, folder / f"{prefix}-accuracy-by-step.png", data.name)
    return {name: picture for name, picture in pictures.items() if picture is not None}


def _blocks(frame: pd.DataFrame, looks: Mapping[str, Look], path: Path, name: str) -> Picture:
    methods = methods_in(frame)[:MAX_METHODS]
    rows = frame[frame["method"].isin(methods)]
    with themed():
        figure, (accuracy, error, weight) = panels(3, 4.1)
        weighted = rows[rows["snr_weight"].notna()]
        drawn = [
            _curves(panel, shown, methods_in(shown), column, looks, linestyle).assign(quantity=column, unit=unit)
            for panel, shown, column, unit, linestyle in (
                (accuracy, rows, "own_accuracy", "percent", "-"),
                (accuracy, rows, "image_accuracy", "percent", "--"),
                (error, rows, "denoising_error", "1", "-"),
                (weight, weighted, "snr_weight", "1", "-"),
            )
            if not shown.empty
        ]
        accuracy.set(title="Accuracy of each block", ylabel="accuracy (%)", ylim=(-2, 102))
        error.set(title="Denoising error", ylabel="|û − u|² / |u|²")
        weight.set(title="Weight of the block's loss", ylabel="SNR weight")
        _maybe_log(error, rows["denoising_error"])
        if len(weighted):
            _maybe_log(weight, weighted["snr_weight"])
        else:
            weight.set_axis_off()
            weight.set_title("No weights in these losses", y=0.5)
        for panel in (accuracy, error, weight):
            panel.set(xlabel="time of the block's input\n(0: pure noise)", xlim=(-0.03, 1.0))
        own = Line2D([], [], color="0.3", linestyle="-", label="own task")
        image = Line2D([], [], color="0.3", linestyle="--", label="accuracy from image and pure noise")
        figure.legend(handles=[own, image], loc="outside upper left", ncols=2, frameon=False, fontsize="small")
        legend(figure, looks, methods)
        save(figure, path, pd.concat(drawn), _BLOCKS)
    accuracies = rows.groupby(["method", "time"])["own_accuracy"].mean()
    said = ", ".join(f"{method} {accuracies[method].iloc[0]:.2f}%" for method in methods)
    scales = (
        "Weights have a scale of their own in stacks (from the increase of SNR over a block) and in continuous time "
        "(from its slope). "
    )
    return Picture(
        path.name,
        f"Line charts of accuracy, denoising error and loss weight of each block on {name}. First block's own task: "
        f"{said}.",
        "Each block after the last epoch, by the time of its input. "
        + (scales if rows["is_stack"].nunique() > 1 else "")
        + _seeds(rows)
        + _left_out(methods_in(frame), MAX_METHODS),
    )


def _by_epoch(data: DatasetView, path: Path) -> Picture | None:
    with_blocks = methods_with_blocks(data)
    methods = with_blocks[:MAX_METHODS_BY_EPOCH]
    frame = block_frame(data, methods=methods)
    if frame["epoch"].nunique() == 1:
        return None
    with themed():
        figure = Figure(figsize=(WIDTH_INCHES, 0.5 + 3.2 * len(methods)), layout="constrained")
        axes = figure.subplots(len(methods), 2, squeeze=False, sharex=True)
        drawn = []
        for row, method in zip(axes, methods, strict=True):
            of_method = frame[frame["method"] == method]
            numbers = sorted(of_method["number"].unique())
            shades = mpl.colormaps["viridis"](np.linspace(0, BRIGHTEST, len(numbers)))
            marker = "o" if of_method["epoch"].nunique() <= MAX_MARKED_EPOCHS else ""
            columns = ["own_accuracy", "denoising_error"]
            means = of_method.groupby(["number", "epoch"])[["time", *columns]].mean()
            drawn.append(means.reset_index().assign(method=method))
            for panel, column in zip(row, columns, strict=True):
                for index, block in enumerate(numbers):
                    curve = means.loc[block][column]
                    panel.plot(curve.index, curve, color=shades[index], linewidth=1.6, marker=marker, markersize=3.5)
                panel.set_title(method)
            row[0].set_ylabel("accuracy on own task (%)")
            row[1].set_ylabel("error, |û − u|² / |u|²")
            _maybe_log(row[1], of_method["denoising_error"])
            _colorbar(figure, row, of_method, shades)
        for panel in axes[-1]:
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        save(figure, path, pd.concat(drawn), _BY_EPOCH)
    return Picture(
        path.name,
        f"Line charts of each block's accuracy and denoising error against the epoch on {data.name}, for "
        f"{', '.join(methods)}.",
        "Each block on its own task after each evaluated epoch, mean over seeds, one colour a block."
        + _left_out(with_blocks, MAX_METHODS_BY_EPOCH),
    )


def _colorbar(figure: Figure, row: Sequence[Axes], frame: pd.DataFrame, shades: np.ndarray) -> None:
    """Which colour is which block or, for one network at several times, which time; frame: of one method."""
    blocks = frame.drop_duplicates("number").sort_values("number")
    edges = np.arange(len(shades) + 1) - 0.5
    scale = ScalarMappable(BoundaryNorm(edges, len(shades)), ListedColormap(shades))
    step = -(-len(shades) // 10)
    is_stack = bool(blocks["is_stack"].all())
    bar = figure.colorbar(
        scale,
        ax=list(row),
        ticks=range(0, len(shades), step),
        label="block (1: pure noise)" if is_stack else "time of the input (0: pure noise)",
    )
    labels = blocks["number"] if is_stack else blocks["time"]
    bar.ax.set_yticklabels([f"{label:g}" for label in labels[::step]])
    bar.minorticks_off()


def _steps(frame: pd.DataFrame, looks: Mapping[str, Look], path: Path, name: str) -> Picture:
    methods = methods_in(frame)[:MAX_DRAWN]
    rows = frame[frame["method"].isin(methods)]
    with themed():
        figure, (panel,) = panels(1, 4.1)
        drawn = _curves(panel, rows, methods, "accuracy", looks, "-")
        panel.set(
            xlabel="time at which inference is stopped (0: noise, 1: its end)",
            ylabel="validation accuracy (%)",
            ylim=(-2, 102),
        )
        legend(figure, looks, methods)
        save(figure, path, drawn, _BY_STEP)
    halves = rows[(rows["time"] - 0.5).abs() < 1e-6].groupby("method", sort=False)["accuracy"].mean()
    said = ", ".join(f"{method} {value:.2f}%" for method, value in halves.items())
    return Picture(
        path.name,
        f"Line chart of accuracy against the time at which inference is stopped on {name}."
        + (f" Half way: {said}." if said else ""),
        "Accuracy if inference stopped early, after the last epoch: the class that the method's classifier reads from "
        f"z at that time. {_seeds(rows)}" + _left_out(methods_in(frame), MAX_DRAWN),
    )


def _curves(
    panel: Axes, rows: pd.DataFrame, methods: Sequence[str], column: str, looks: Mapping[str, Look], linestyle: str
) -> pd.DataFrame:
    """Draw each method's mean over seeds against time, and a band from the least to the most; what is drawn."""
    over_seeds = rows.groupby(["method", "time"])[column].agg(["mean", "min", "max"])
    curves = {method: over_seeds.loc[[method]].droplevel("method") for method in methods}
    bands(panel, curves, looks)
    for method, curve in curves.items():
        look = looks[method]
        panel.plot(
            curve.index,
            curve["mean"],
            color=look.color,
            marker=look.marker,
            linestyle=linestyle,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
    return pd.concat([curve.reset_index().assign(method=method) for method, curve in curves.items()])


def _maybe_log(panel: Axes, values: pd.Series) -> None:
    positive = values[values > 0]
    if len(positive) and positive.max() >= LOG_SPREAD * positive.min():
        panel.set_yscale("log")
        panel.yaxis.set_minor_locator(NullLocator())  # they have neither marks nor labels here, but take time
    else:
        panel.set_ylim(0, 1.05 * float(values.max()) or 1)


def _seeds(rows: pd.DataFrame) -> str:
    return "One seed for each method." if rows["seed"].nunique() == 1 else _BAND


def _left_out(methods: Sequence[str], limit: int) -> str:
    return f" The first {limit} of {len(methods)} methods." if len(methods) > limit else ""
