"""One look for every picture: a colour and a marker for each method, axes, legend, and the files that are written.

Pictures are drawn on figures of their own with no global state, so that a report can be built from any program.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
"""Nine markers and twenty colours: 180 methods before a pair comes back."""
DARKER = 0.55
"""What the ten colours of the palette are multiplied with to make ten more."""
WIDTH_INCHES = 9.0
DPI = 130
MAX_DRAWN = 20
"""Methods in one picture. More cannot be told apart; the tables hold them all."""
MAX_DOTS = 10
"""Seeds are shown one by one up to this many; more would hide the mean."""
CROP_SPAN, CROP_MARGIN = 30.0, 10.0
ROUND_STEPS = [1, 2, 2.5, 5, 10]
LOG_SPREAD = 10.0
"""An axis of times or bytes is logarithmic where the largest value is this many times the smallest."""
MEAN = "mean"
"""In the column `seed` of the numbers that are drawn: a mean over seeds, where the others are of one seed."""
_SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "noprop-bench"}
"""Text stays text, and the names of parts follow from what they are, not from chance."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a method is drawn, in every picture of a report."""

    color: tuple[float, float, float]
    marker: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on disk and the words that go with it."""

    file: str
    """Name inside the folder of figures."""
    alt: str
    caption: str


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """A colour that colour-blind readers can tell apart, and a marker, for each method."""
    colors = sns.color_palette("colorblind")
    palette = [*colors, *((DARKER * red, DARKER * green, DARKER * blue) for red, green, blue in colors)]
    return {
        method: Look(palette[index % len(palette)], MARKERS[index % len(MARKERS)])
        for index, method in enumerate(methods)
    }


def panels(count: int, height: float, *, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels side by side; `height` in inches."""
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots(1, count, sharey=sharey, squeeze=False)
    return figure, list(axes[0])


def themed() -> Any:
    """Context manager: the seaborn theme, for the figures made inside it only."""
    return mpl.rc_context(
        {
            **sns.axes_style("whitegrid"),
            **sns.plotting_context("notebook", font_scale=0.95),
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # or every title looks for tick labels to move above, of which there are none
            "axes.edgecolor": "0.6",
            "grid.color": "0.9",
        }
    )


def bands(panel: Axes, curves: Mapping[str, pd.DataFrame], looks: Mapping[str, Look]) -> None:
    """The range over seeds around each method's line, all at once: a `fill_between` for each takes much longer.

    Args:
        panel: where they are drawn.
        curves: by method; the index is what is on the x axis, the columns `min` and `max` the ends of the band.
        looks: by method.
    """
    shapes = []
    for curve in curves.values():
        x = curve.index.to_numpy(dtype=float)
        there = np.column_stack([x, curve["min"].to_numpy()])
        back = np.column_stack([x, curve["max"].to_numpy()])[::-1]
        shapes.append(np.concatenate([there, back]))
    colors = [looks[method].color for method in curves]
    panel.add_collection(PolyCollection(shapes, facecolors=colors, linewidths=0, alpha=0.18))


def legend(figure: Figure, looks: Mapping[str, Look], methods: Sequence[str], *, line: bool = True) -> None:
    """One legend below all panels."""
    style = {"linestyle": "-" if line else "", "markersize": 7, "markeredgecolor": "white", "linewidth": 1.8}
    handles = [
        Line2D([], [], color=looks[method].color, marker=looks[method].marker, label=method, **style)  # type: ignore[arg-type]
        for method in methods
    ]
    longest = max(len(method) for method in methods)
    columns = max(1, min(len(methods), 90 // (longest + 6)))
    more_rows = -(-len(methods) // columns) - 1
    figure.set_figheight(figure.get_figheight() + 0.22 * more_rows)  # else a long legend eats the panels
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def save_png(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, with no date and no version of a library in it: the same picture is the same file.

    Not by `savefig`, which goes through everything twice, the first time only to lay it out.
    """
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})  # type: ignore[no-untyped-call]


def save(figure: Figure, path: Path, drawn: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Write a picture as PNG and SVG, and the numbers that are drawn in it as CSV beside them.

    As `save_png`, the same results give the same files.

    Args:
        figure: the picture.
        path: of the PNG; the others differ in the suffix.
        drawn: one row a mark.
        columns: those that are written, in this order, and their names in the file, with units. Numbers are written
            with eight digits.
    """
    save_png(figure, path)
    figure.set_layout_engine("none")  # it is laid out by now
    with mpl.rc_context(_SVG):
        FigureCanvasSVG(figure).print_svg(path.with_suffix(".svg"), metadata={"Creator": None, "Date": None})  # type: ignore[no-untyped-call]
    table = drawn[list(columns)].rename(columns=dict(columns))
    table.to_csv(path.with_suffix(".csv"), index=False, float_format="%.8g", lineterminator="\n", encoding="utf-8")


def accuracy_limits(lows: np.ndarray, highs: np.ndarray, bests: np.ndarray) -> tuple[float, float, bool]:
    """Limits, in percent, of an axis of accuracies, and whether some values lie below it.

    Where the accuracies span more than `CROP_SPAN` points, the axis begins `CROP_MARGIN` points below the worst
    method's best mean: on an axis that also holds a first epoch at chance, methods a point apart look the same.

    Args:
        lows: smallest value drawn, one or more per method.
        highs: largest value drawn.
        bests: best mean of each method.
    """
    floor, ceiling = float(np.min(lows)), float(np.max(highs))
    cropped = ceiling - floor > CROP_SPAN and floor < float(np.min(bests)) - CROP_MARGIN
    if cropped:
        floor = float(np.min(bests)) - CROP_MARGIN
    margin = max(0.05 * (ceiling - floor), 0.25)
    return max(floor - (0 if cropped else margin), -1.0), min(ceiling + margin, 100 + margin / 2), cropped


def scale_x(axes: Axes, values: Iterable[float]) -> bool:
    """A logarithmic x axis with plain numbers where the spread is large, else one from zero; True if log."""
    data = [value for value in values if value > 0]
    most = max(data, default=1.0)
    logarithmic = bool(data) and most >= LOG_SPREAD * min(data)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(data) / 1.35, most * 1.35)
        within_two_decades = most / min(data) < 100
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if within_two_decades else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, most * 1.06)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=ROUND_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return logarithmic


def wrapped(text: str, panels: int) -> str:
    """A title or label on two lines where there are too many panels for one."""
    return text if panels < 3 else textwrap.fill(text, 22)


def spread_note(most_seeds: int, mean: str, spread: str) -> str:
    """What stands for the seeds in a picture, where a method has at most that many."""
    if most_seeds == 1:
        return "One seed for each method."
    dots = f"; dots: single seeds (up to {MAX_DOTS})" if most_seeds <= MAX_DOTS else ""
    return f"{mean}: mean over seeds; {spread}{dots}."
