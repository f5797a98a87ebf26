"""The pictures of one data set. `curves.py` draws the ones that follow training; the others are here."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import block_figures, curves
from reports.memory_curve import memory_over_time
from reports.stats import estimate
from reports.style import (
    MAX_DOTS,
    MAX_DRAWN,
    ROUND_STEPS,
    Look,
    Picture,
    legend,
    panels,
    save,
    scale_x,
    themed,
    wrapped,
)
from reports.tables import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    PEAK_RSS,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    Measure,
    depth_profile,
)
from reports.text import MIB, exact, number, plus_minus
from reports.view import DatasetView


def draw(data: DatasetView, looks: Mapping[str, Look], folder: Path, prefix: str) -> dict[str, Picture]:
    """Draw every picture that the data set has numbers for, as `folder/<prefix>-<name>.png`.

    Returns:
        The pictures by name: `accuracy-by-epoch`, `accuracy-by-time`, `trade-off`, `memory`, `memory-over-time`,
        `activations-by-depth`, and those of `block_figures.draw_blocks`.
    """
    methods = data.drawn[:MAX_DRAWN]
    pictures: dict[str, Picture | None] = {}

    def path(name: str) -> Path:
        return folder / f"{prefix}-{name}.png"

    rows, means = curves.epoch_means(data, methods)
    if not rows.empty:
        with_epochs = [method for method in methods if method in means.index]
        for name, drawing in (
            ("accuracy-by-epoch", curves.accuracy_by_epoch),
            ("accuracy-by-time", curves.accuracy_by_time),
        ):
            pictures[name] = drawing(rows, means, with_epochs, looks, path(name), data.name)
    pictures["trade-off"] = trade_off(data, methods, looks, path("trade-off"))
    pictures["memory"] = memory(data, methods, looks, path("memory"))
    pictures["memory-over-time"] = memory_over_time(data, methods, looks, path("memory-over-time"))
    pictures["activations-by-depth"] = activations_by_depth(data, methods, looks, path("activations-by-depth"))
    pictures |= block_figures.draw_blocks(data, looks, folder, prefix)
    return {name: picture for name, picture in pictures.items() if picture is not None}


def memory(data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path) -> Picture | None:
    """Bars of the rise of resident memory, of activation bytes and, where measured, of GPU memory."""
    titles = {
        RSS_RISE: "Rise of resident memory",
        PEAK_RSS: "Peak resident memory",
        ACTIVATIONS: "Activations held for backward",
        GPU_ALLOCATED: "Peak GPU memory allocated",
    }
    values = {measure: _long(data, methods, measure) for measure in titles}
    # The peak stands in only where the rise is not known: beside it, it would say the same with less contrast.
    if not values[RSS_RISE].empty:
        del values[PEAK_RSS]
    values = {measure: frame for measure, frame in values.items() if not frame.empty}
    if not values:
        return None
    palette = {method: looks[method].color for method in methods}
    with themed():
        figure, axes = panels(len(values), 1.3 + 0.42 * len(methods), sharey=True)
        for panel, (measure, frame) in zip(axes, values.items(), strict=True):
            sns.barplot(
                frame,
                x="value",
                y="method",
                hue="method",
                order=methods,
                palette=palette,
                errorbar=None,
                saturation=1,
                legend=False,
                ax=panel,
            )
            most = frame["value"].max()
            for position, method in enumerate(methods):
                seeds = frame.loc[frame["method"] == method, "value"].to_numpy()
                if len(seeds):
                    _seeds_on_bar(panel, position, seeds, most)
            scale = {"xlim": (0, most * (1.1 + 0.07 * len(values)) or 1), "ylim": (len(methods) - 0.4, -0.6)}
            panel.set(title=wrapped(titles[measure], len(values)), xlabel="MiB", ylabel="", **scale)
            panel.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        save(figure, path)
    lengths = "; ".join(
        f"{titles[measure]}: "
        + ", ".join(
            f"{method} {number(mean)} MiB"
            for method, mean in frame.groupby("method", sort=False)["value"].mean().items()
        )
        for measure, frame in values.items()
    )
    return Picture(
        path.name,
        f"Horizontal bar charts of memory on {data.name}. {lengths}.",
        "Memory by method: "
        + ", ".join(title[0].lower() + title[1:] for title in map(titles.__getitem__, values))
        + ". "
        + _spread_note(data, methods, "Bars and numbers", "black lines: from the least to the most"),
    )


def trade_off(data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path) -> Picture | None:
    """Test accuracy against training time and, beside it, against activation bytes: one point a method."""
    accuracy = _long(data, methods, TEST_ACCURACY)
    labels = {
        TRAIN_SECONDS: "training time (s)",
        ACTIVATIONS: "activations held for backward (MiB)",
        GPU_ALLOCATED: "peak GPU memory allocated (MiB)",
    }
    costs = {measure: _long(data, methods, measure) for measure in labels}
    costs = {measure: frame for measure, frame in costs.items() if not frame.empty}
    if accuracy.empty or not costs:
        return None
    with themed():
        figure, axes = panels(len(costs), 4.1, sharey=True)
        logarithmic = []
        for panel, (measure, frame) in zip(axes, costs.items(), strict=True):
            points = frame.merge(accuracy, on=["method", "seed"], suffixes=("", "_accuracy"))
            for method in methods:
                seeds = points[points["method"] == method]
                if not seeds.empty:
                    _cross(panel, seeds["value"].to_numpy(), seeds["value_accuracy"].to_numpy(), looks[method])
            if scale_x(panel, points["value"]):
                logarithmic.append(labels[measure].split(" (")[0])
            panel.set_xlabel(wrapped(labels[measure], len(costs)))
        low, high = accuracy["value"].min(), accuracy["value"].max()
        margin = max(0.08 * (high - low), 0.25)
        axes[0].set(ylabel="test accuracy (%)", ylim=(low - margin, min(high + margin, 100 + margin / 2)))
        legend(figure, looks, methods, line=False)
        save(figure, path)
    described = "; ".join(
        f"{method}: {plus_minus(estimate(TEST_ACCURACY.values(data.finished[method]).values()), decimals=2)}% in "
        f"{plus_minus(estimate(TRAIN_SECONDS.values(data.finished[method]).values()))} s with "
        f"{exact(ACTIVATIONS.values(data.finished[method]).values())} MiB of activations"
        for method in methods
    )
    logs = f" Logarithmic axis: {', '.join(logarithmic)}." if logarithmic else ""
    return Picture(
        path.name,
        f"Scatter plots of test accuracy in percent against cost on {data.name}. {described}.",
        "What accuracy costs: up and to the left is better. "
        + _spread_note(data, methods, "Large markers", "lines: from the least to the most in both directions")
        + logs,
    )


def activations_by_depth(
    data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path
) -> Picture | None:
    """Bytes held for backward against the depth T of the stack."""
    profiles = {method: depth_profile(data.finished[method]) for method in methods}
    profiles = {method: profile for method, profile in profiles.items() if profile}
    depths = sorted({depth for profile in profiles.values() for depth in profile})
    if len(depths) < 2:
        return None
    with themed():
        figure, (panel,) = panels(1, 4.1)
        heights = {m: [statistics.fmean(held) / MIB for held in profile.values()] for m, profile in profiles.items()}
        order = list(profiles)
        for index, method in enumerate(order):
            above = sum(heights[other] == heights[method] for other in order[index + 1 :])
            panel.plot(
                list(profiles[method]),
                heights[method],
                color=looks[method].color,
                marker=looks[method].marker,
                linewidth=1.6 + 2.2 * above,  # methods often hold the same bytes: thick below thin shows both
                markersize=6.5 + 3.5 * above,
                markeredgecolor="white",
            )
        panel.set(xlabel="depth T (blocks)", ylabel="activations held for backward (MiB)")
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)
        panel.set_xticks(depths)
        legend(figure, looks, list(profiles))
        save(figure, path)
    ends = ", ".join(
        f"{method} from {number(statistics.fmean(profile[min(profile)]) / MIB)} MiB at T = {min(profile)} "
        f"to {number(statistics.fmean(profile[max(profile)]) / MIB)} MiB at T = {max(profile)}"
        for method, profile in profiles.items()
    )
    return Picture(
        path.name,
        f"Line chart of the memory held for backward against the depth T on {data.name}: {ends}.",
        "Bytes held for backward at the peak of one training step when the stack is built with T blocks. The figures "
        "are counted, not sampled, so there are no error bars. Lines that coincide are drawn thin upon thick.",
    )


def _long(data: DatasetView, methods: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row a finished cell that has the measure: method, seed, value."""
    rows = [
        (method, seed, value) for method in methods for seed, value in measure.values(data.finished[method]).items()
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "value"])


def _spread_note(data: DatasetView, methods: Sequence[str], mean: str, spread: str) -> str:
    """What stands for the seeds in a picture."""
    most = max(len(data.finished[method]) for method in methods)
    if most == 1:
        return "One seed for each method."
    dots = f"; dots: single seeds (up to {MAX_DOTS})" if most <= MAX_DOTS else ""
    return f"{mean}: mean over seeds; {spread}{dots}."


def _seeds_on_bar(panel: Axes, position: int, seeds: np.ndarray, most: float) -> None:
    """The range over seeds as a line, each of a few seeds as a dot, and the mean as a number at the end."""
    if seeds.max() > seeds.min():
        panel.hlines(position, seeds.min(), seeds.max(), color="0.15", linewidth=1.4, zorder=3)
        if len(seeds) <= MAX_DOTS:
            panel.scatter(seeds, [position] * len(seeds), s=14, color="0.15", edgecolor="white", lw=0.5, zorder=4)
    panel.text(seeds.max() + 0.025 * most, position, number(float(seeds.mean())), va="center", fontsize="small")


def _cross(panel: Axes, x: np.ndarray, y: np.ndarray, look: Look) -> None:
    """A method's mean, its range over seeds in both directions, and each of a few seeds as a dot."""
    if len(x) > 1:
        panel.hlines(y.mean(), x.min(), x.max(), color=look.color, linewidth=1.2, alpha=0.8)
        panel.vlines(x.mean(), y.min(), y.max(), color=look.color, linewidth=1.2, alpha=0.8)
        if len(x) <= MAX_DOTS:
            panel.scatter(x, y, s=14, color=look.color, alpha=0.6, lw=0)
    panel.plot(
        x.mean(), y.mean(), color=look.color, marker=look.marker, markersize=9, markeredgecolor="white", zorder=5
    )
