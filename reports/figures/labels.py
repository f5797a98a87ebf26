"""Names at the ends of lines, moved apart where they would overlap."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from reports.figures.style import MAX_NAME, Styles

FONT_POINTS = 9.0
_LINE_POINTS = 1.25 * FONT_POINTS
_CHARACTER_POINTS = 0.6 * FONT_POINTS
_OFFSET_POINTS = 9.0
"""From the end of a line to its name."""
_AROUND_POINTS = 80.0
"""About what ticks, titles and labels take of a panel's width and height."""


def folded(method: str) -> str:
    """A method's name on lines of at most `MAX_NAME` characters, broken behind a bracket or a comma if there is one."""
    if len(method) <= MAX_NAME:
        return method
    parts = method.replace("[", "[ ").replace(",", ", ")
    return "\n".join(line.replace(", ", ",").replace("[ ", "[") for line in textwrap.wrap(parts, MAX_NAME))


def spread(wanted: Sequence[float] | np.ndarray, heights: Sequence[float], low: float, high: float) -> np.ndarray:
    """Centres as near as can be to the wanted ones (least squares) at which labels of these heights do not overlap.

    They keep the order of the wanted ones. Within `low` to `high` if there is room for all, else from `high` downwards.
    """
    order = np.argsort(wanted, kind="stable")
    tall = np.asarray(heights, dtype=float)[order]
    # Below a label are all the labels under it: without their heights only the order has to be kept.
    below = np.cumsum(tall) - tall / 2
    free = isotonic_regression(np.asarray(wanted, dtype=float)[order] - below).x
    free = np.minimum(np.maximum(free, low), high - tall.sum())
    centres = np.empty(len(order))
    centres[order] = free + below
    return centres


def named_lines(panel: Axes, methods: Container[str]) -> dict[str, Line2D]:
    """The last line of each method that has some in a panel, by their labels."""
    labelled = ((str(line.get_label()), line) for line in panel.lines if len(np.asarray(line.get_xydata())))
    return {label: line for label, line in labelled if label in methods}


def label_ends(panel: Axes, lines: Mapping[str, Line2D], styles: Styles) -> None:
    """Write the name of each method to the right of its line's end; limits and scales are final by now.

    A name that would cross the panel's edge stands beyond it. Names far apart in x do not push each other away.
    """
    if not lines:
        return
    width, height = _size(panel)
    texts = [folded(method) for method in lines]
    ends = np.array([_end(panel, line) for line in lines.values()])
    places = panel.transAxes.inverted().transform(panel.transData.transform(ends)) * (width, height)
    wide = [_CHARACTER_POINTS * max(map(len, text.split("\n"))) + 2 * _OFFSET_POINTS for text in texts]
    tall = [_LINE_POINTS * (1 + text.count("\n")) for text in texts]
    methods = list(lines)
    beyond = places[:, 0] + wide > width
    for group in _neighbours(np.where(beyond, width, places[:, 0]), wide):
        centres = spread(places[group, 1], [tall[i] for i in group], -_LINE_POINTS, height + _LINE_POINTS)
        for index, centre in zip(group, centres, strict=True):
            rise = centre - places[index, 1]
            color = styles[methods[index]].color
            arrow: dict[str, Any] = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 0, "shrinkB": 4}
            panel.annotate(
                texts[index],
                tuple(ends[index]),
                (1.015, rise) if beyond[index] else (_OFFSET_POINTS, rise),
                textcoords=("axes fraction" if beyond[index] else "offset points", "offset points"),
                va="center",
                fontsize=FONT_POINTS,
                color=color,
                arrowprops=arrow if abs(rise) > 0.3 * _LINE_POINTS else None,
                annotation_clip=False,
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
                zorder=6,
            )


def label_heights(panel: Axes, lines: Mapping[str, Line2D], styles: Styles) -> None:
    """Right of a panel, each method's marker and name at the height of its line's end, or near where there is room."""
    if not lines:
        return
    methods = list(lines)
    _, height = _size(panel)
    points = panel.transData.transform([_end(panel, line) for line in lines.values()])
    wanted = panel.transAxes.inverted().transform(points)[:, 1] * height
    texts = [folded(method) for method in methods]
    centres = spread(wanted, [_LINE_POINTS * (1 + text.count("\n")) for text in texts], -_LINE_POINTS, height) / height
    for method, text, y in zip(methods, texts, centres, strict=True):
        place: dict[str, Any] = {"transform": panel.transAxes, "clip_on": False}
        mark = styles[method].line | {"linestyle": "", "markersize": 6, "markeredgewidth": 0.5}
        panel.add_line(Line2D([1.04], [y], **mark | place))
        panel.annotate(
            text,
            (1.04, y),
            (_OFFSET_POINTS - 1, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=FONT_POINTS,
            color=styles[method].color,
            annotation_clip=False,
        )


def _end(panel: Axes, line: Line2D) -> tuple[float, float]:
    """The last point, moved to the edge of the panel if it lies beyond."""
    x, y = np.asarray(line.get_xydata())[-1]
    low, high = sorted(panel.get_ylim())
    return float(x), float(np.clip(y, low, high))


def _size(panel: Axes) -> tuple[float, float]:
    """About the width and height of a panel in points; the layout, which comes later, knows them exactly."""
    spec, figure = panel.get_subplotspec(), panel.get_figure(root=True)
    assert spec is not None
    assert figure is not None
    grid = spec.get_gridspec()
    width, height = figure.get_size_inches() * 72
    return width / grid.ncols - _AROUND_POINTS, height / grid.nrows - _AROUND_POINTS


def _neighbours(starts: np.ndarray, widths: Sequence[float]) -> list[list[int]]:
    """Indices of labels that could overlap in x, group by group."""
    groups: list[list[int]] = []
    reach = -np.inf
    for index in np.argsort(starts, kind="stable"):
        if starts[index] > reach:
            groups.append([])
            reach = -np.inf
        groups[-1].append(int(index))
        reach = max(reach, starts[index] + widths[index])
    return groups
