"""How every figure looks: one colour and marker per method, theme, axes, legend, and the files that are written.

Figures are drawn without matplotlib's global state, so a report can be built from any program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import textwrap
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, SymmetricalLogLocator

from reports.view import Family

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
NOPROP = ("#d94801", "#7f2704", "#fd8d3c", "#a63603", "#f16913")
"""Shades of one hue, which no other family has."""
BACKPROP = ("#4d4d4d", "#8c8c8c", "#626262", "#777777")
OTHERS = ("#3f7f93", "#8c7bb0", "#6fa287", "#5a78b0", "#a9849f", "#8b8b4b", "#2f5d50")
"""Cool and muted."""
REFERENCE_COLOR = "#000000"
FADED = "#d8d8d8"
"""Of the lines that are there for comparison only."""
PALETTES = {Family.NOPROP: NOPROP, Family.BACKPROP: BACKPROP, Family.OTHER: OTHERS}
WIDTH_INCHES, HEIGHT_INCHES = 9.0, 4.1
DPI = 130
MAX_DRAWN = 20
"""Methods in one figure. More cannot be told apart; the tables have them all."""
MAX_MARKERS = 12
"""On one line."""
LOG_SPREAD = 10.0
"""Of an axis of times or bytes: from here on it is logarithmic."""
MAX_NAME = 34
"""Characters of a method's name on one line of a figure."""


@dataclass(frozen=True, slots=True)
class MethodStyle:
    """How a method is drawn in every figure of a report."""

    color: str
    marker: str
    highlighted: bool = True
    """Whether its line is in colour and has its name; else it is thin and light grey."""

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        return {"color": self.color, "marker": self.marker, "markersize": 6, "markeredgecolor": "white"}


Styles = Mapping[str, MethodStyle]
"""By method."""


def method_styles(families: Mapping[str, Family], reference: str | None) -> dict[str, MethodStyle]:
    """For each method a marker and a colour: the reference is black, the others have a hue by family.

    Within a family shades and markers go on at different lengths, so that no pair comes back before 36 methods.
    """
    styles = {}
    counts: Counter[Family] = Counter()
    for method, family in families.items():
        if method == reference:
            styles[method] = MethodStyle(REFERENCE_COLOR, MARKERS[0])
            continue
        palette, count = PALETTES[family], counts[family]
        # Families begin at different markers, so that they differ in shape too.
        marker = MARKERS[(count + 1 + 3 * list(Family).index(family)) % len(MARKERS)]
        styles[method] = MethodStyle(palette[count % len(palette)], marker)
        counts[family] += 1
    return styles


def highlight(styles: Styles, methods: Collection[str]) -> dict[str, MethodStyle]:
    """The same styles, in which these methods alone are highlighted."""
    return {method: dataclasses.replace(style, highlighted=method in methods) for method, style in styles.items()}


def themed() -> Any:
    """Context manager: the seaborn theme, for the figures made inside it only."""
    return mpl.rc_context(
        {
            **sns.axes_style("whitegrid"),
            **sns.plotting_context("notebook", font_scale=0.95),
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # or matplotlib looks for tick labels above every title, of which there are none
            "axes.edgecolor": "0.6",
            "grid.color": "0.9",
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "noprop-bench",  # ids of SVG elements are the same every time
        }
    )


def new_figure(rows: int, columns: int, height: float, share: str | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of `height` inches with a grid of panels that `share` an axis (x, y), and the panels row by row."""
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, sharex=share == "x", sharey=share == "y", squeeze=False).flat)


def draw_lines(
    panel: Axes, frame: pd.DataFrame, x: str, y: str, styles: Styles, band: tuple[str, str] | None = None, **line: Any
) -> None:
    """Draw the columns y against x, one line per method with markers on at most `MAX_MARKERS` points.

    `band`: columns of the lower and upper end of a band around it. `line`: further arguments of `Axes.plot`. Methods
    that are not highlighted are thin and grey below the others, without band and markers.
    """
    curves = {str(method): rows.sort_values(x) for method, rows in frame.groupby("method", sort=False)}
    strong = {method: rows for method, rows in curves.items() if styles[method].highlighted}
    if band is not None:  # as one collection: a `fill_between` per method takes much longer
        shapes = [np.vstack([rows[[x, band[0]]], rows[[x, band[1]]][::-1]]) for rows in strong.values()]
        colors = [styles[method].color for method in strong]
        panel.add_collection(PolyCollection(shapes, facecolors=colors, linewidths=0, alpha=0.14))
    faded = [rows[[x, y]].to_numpy() for method, rows in curves.items() if method not in strong]
    panel.add_collection(LineCollection(faded, colors=FADED, linewidths=0.9, zorder=1.2))
    for method, rows in strong.items():
        marks = {"markevery": -(-len(rows) // MAX_MARKERS), "markeredgewidth": 0.6, "label": method}
        panel.plot(rows[x].to_numpy(), rows[y].to_numpy(), **styles[method].line | marks | line)
    panel.autoscale_view()


def add_legend(figure: Figure, styles: Styles, *, lines: bool = True) -> None:
    """One legend below all panels."""
    common = {"linestyle": "-" if lines else "", "markersize": 7, "linewidth": 1.8}
    handles = [Line2D([], [], label=method, **style.line | common) for method, style in styles.items()]
    columns = max(1, min(len(styles), 90 // (max(map(len, styles)) + 6)))
    more_rows = -(-len(styles) // columns) - 1
    figure.set_figheight(figure.get_figheight() + 0.22 * more_rows)  # or a long legend would shrink the panels
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


@contextlib.contextmanager
def _in_any_script() -> Iterator[None]:
    """A class may have a name that no font here has: it is drawn as boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG without date or library version: the same figure is the same file.

    Not by `savefig`, which draws everything twice, the first time only for the layout.
    """
    figure.set_dpi(DPI)
    with _in_any_script():
        FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})  # type: ignore[no-untyped-call]


def save(figure: Figure, path: Path, frame: pd.DataFrame) -> None:
    """Write a figure as PNG and SVG, and the frame as CSV beside them; the same results give the same files."""
    save_png(figure, path)
    figure.set_layout_engine("none")  # the layout is done by now
    with _in_any_script():
        FigureCanvasSVG(figure).print_svg(path.with_suffix(".svg"), metadata={"Creator": None, "Date": None})  # type: ignore[no-untyped-call]
    frame.to_csv(path.with_suffix(".csv"), index=False, float_format="%.8g", lineterminator="\n", encoding="utf-8")


def is_logarithmic(values: pd.Series, spread: float = LOG_SPREAD) -> bool:
    """Whether the largest of these values is `spread` times the smallest, so that the axis is logarithmic."""
    positive = values[values > 0]
    return bool(len(positive)) and bool(positive.max() >= spread * positive.min())


def scale_x(panel: Axes, values: pd.Series, ticks: int = 8) -> bool:
    """A logarithmic x axis with plain numbers if the values are far apart (True), else one from zero.

    The logarithmic one is linear below the least value above 0 where there are zeros, so that these are on it.
    """
    most = float(values.max()) or 1.0
    logarithmic = is_logarithmic(values)
    if logarithmic:
        least = float(values[values > 0].min())
        steps = (1.0, 2.0, 5.0) if most / least < 100 else (1.0,)
        if (values == 0).any():
            panel.set_xscale("symlog", linthresh=least, linscale=0.5)
            panel.set_xlim(-0.25 * least, most * 1.35)
            panel.xaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=least, subs=steps))
        else:
            panel.set_xscale("log")
            panel.set_xlim(least / 1.35, most * 1.35)
            panel.xaxis.set_major_locator(LogLocator(subs=steps))
        panel.xaxis.set_minor_locator(NullLocator())
    else:
        panel.set_xlim(0, most * 1.06)
        round_ticks(panel.xaxis, ticks)
    plain_numbers(panel.xaxis)
    return logarithmic


def round_ticks(axis: Axis, count: int) -> None:
    """At most that many ticks, at round numbers."""
    axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
    plain_numbers(axis)


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only, such as epochs."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def plain_numbers(axis: Axis) -> None:
    """Tick labels such as 2,000 and 0.5, also on logarithmic axes."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def wrapped(text: str, panels: int) -> str:
    """A title or label on two lines if there are too many panels for one."""
    return text if panels < 3 else textwrap.fill(text, 22)
