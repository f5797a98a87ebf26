"""The pictures of one data set. `curves.py` draws the ones that follow training; the others are here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.figures import blocks, curves
from reports.figures.memory_over_time import memory_over_time
from reports.figures.style import (
    MAX_DOTS,
    MAX_DRAWN,
    MEAN,
    ROUND_STEPS,
    Look,
    Picture,
    legend,
    panels,
    save,
    spread_note,
    themed,
    wrapped,
)
from reports.figures.trade_off import trade_off
from reports.formats.markdown import number
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, MIB, PEAK_RSS, RSS_RISE, Measure, depth_profile
from reports.view import DatasetView


class Bar(NamedTuple):
    """The mean of a method with its range over seeds, or one seed's value, which has none; all in MiB."""

    method: str
    seed: int | str
    held: float
    least: float = math.nan
    most: float = math.nan


_MEMORY = {
    "memory": "memory",
    "method": "method",
    "seed": "seed",
    "held": "mib",
    "least": "least_of_seeds_mib",
    "most": "most_of_seeds_mib",
}
_BY_DEPTH = {"method": "method", "depth": "T", "held": "activations_mean_of_seeds_mib"}
"""Columns of the numbers that are drawn, by their names in the file."""


def draw(
    data: DatasetView, looks: Mapping[str, Look], folder: Path, prefix: str, *, sharing: str | None = None
) -> dict[str, Picture]:
    """Draw every picture that the data set has numbers for, as `folder/<prefix>-<name>.png`, `.svg` and `.csv`.

    Where times are not to be compared, `sharing` says why, as in `RunView.sharing`, and no method is ahead in them.

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
    pictures["trade-off"] = trade_off(data, methods, looks, path("trade-off"), sharing=sharing)
    pictures["memory"] = memory(data, methods, looks, path("memory"))
    pictures["memory-over-time"] = memory_over_time(data, methods, looks, path("memory-over-time"))
    pictures["activations-by-depth"] = activations_by_depth(data, methods, looks, path("activations-by-depth"))
    pictures |= blocks.draw_blocks(data, looks, folder, prefix)
    return {name: picture for name, picture in pictures.items() if picture is not None}


def memory(data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path) -> Picture | None:
    """Bars of the rise of resident memory, of activation bytes and, where measured, of GPU memory."""
    titles = {
        RSS_RISE: "Rise of resident memory",
        PEAK_RSS: "Peak resident memory",
        ACTIVATIONS: "Activations held for backward",
        GPU_ALLOCATED: "Peak GPU memory allocated",
    }
    values = {measure: _by_method(data, methods, measure) for measure in titles}
    # The peak stands in only where the rise is not known: beside it, it would say the same with less contrast.
    if values[RSS_RISE]:
        del values[PEAK_RSS]
    values = {measure: bars for measure, bars in values.items() if bars}
    if not values:
        return None
    with themed():
        figure, axes = panels(len(values), 1.3 + 0.42 * len(methods), sharey=True)
        axes[0].set_yticks(range(len(methods)), methods)
        for panel, (measure, bars) in zip(axes, values.items(), strict=True):
            _bars(panel, bars, methods, looks)
            most = max(bar.most for bar in _means(bars))
            scale = {"xlim": (0, most * (1.1 + 0.07 * len(values)) or 1), "ylim": (len(methods) - 0.4, -0.6)}
            panel.set(title=wrapped(titles[measure], len(values)), xlabel="MiB", **scale)
            panel.yaxis.grid(visible=False)
            panel.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        drawn = [pd.DataFrame(bars).assign(memory=titles[measure]) for measure, bars in values.items()]
        save(figure, path, pd.concat(drawn), _MEMORY)
    lengths = "; ".join(
        f"{titles[measure]}: " + ", ".join(f"{bar.method} {number(bar.held)} MiB" for bar in _means(bars))
        for measure, bars in values.items()
    )
    return Picture(
        path.name,
        f"Horizontal bar charts of memory on {data.name}. {lengths}.",
        "Memory by method: "
        + ", ".join(title[0].lower() + title[1:] for title in map(titles.__getitem__, values))
        + ". "
        + spread_note(
            max(len(data.finished[method]) for method in methods),
            "Bars and numbers",
            "black lines: from the least to the most",
        ),
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
        drawn = [(m, *point) for m, held in heights.items() for point in zip(profiles[m], held, strict=True)]
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
        save(figure, path, pd.DataFrame(drawn, columns=list(_BY_DEPTH)), _BY_DEPTH)
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


def _by_method(data: DatasetView, methods: Sequence[str], measure: Measure) -> list[Bar]:
    """The mean of each method that has the measure and, where they are few and differ, its seeds."""
    bars = []
    for method in methods:
        by_seed = measure.values(data.finished[method])
        if not by_seed:
            continue
        seeds = np.array(list(by_seed.values()))
        bars.append(Bar(method, MEAN, seeds.mean(), seeds.min(), seeds.max()))
        if len(seeds) <= MAX_DOTS and seeds.max() > seeds.min():
            bars += [Bar(method, seed, held) for seed, held in by_seed.items()]
    return bars


def _means(bars: Sequence[Bar]) -> list[Bar]:
    return [bar for bar in bars if bar.seed == MEAN]


def _bars(panel: Axes, bars: Sequence[Bar], methods: Sequence[str], looks: Mapping[str, Look]) -> None:
    """A method's mean as a bar with its number at the end, the range over seeds as a line, a few seeds as dots."""
    means = _means(bars)
    at = {method: position for position, method in enumerate(methods)}
    panel.barh(
        [at[mean.method] for mean in means],
        [mean.held for mean in means],
        color=[looks[mean.method].color for mean in means],
        linewidth=0,
    )
    lines = [[(mean.least, at[mean.method]), (mean.most, at[mean.method])] for mean in means if mean.most > mean.least]
    panel.add_collection(LineCollection(lines, colors="0.15", linewidths=1.4, zorder=3))
    end = max(mean.most for mean in means)
    for mean in means:
        y = at[mean.method]
        dots = [bar.held for bar in bars if bar.method == mean.method and bar.seed != MEAN]
        if dots:
            panel.scatter(dots, [y] * len(dots), s=14, color="0.15", edgecolor="white", lw=0.5, zorder=4)
        panel.text(mean.most + 0.025 * end, y, number(mean.held), va="center", fontsize="small")
