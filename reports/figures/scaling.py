"""Pictures of a sweep: seconds, share of the ceiling and activations against what is varied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator, PercentFormatter

from reports.figures.style import WIDTH_INCHES, Look, Picture, legend, looks, save, themed
from reports.formats.markdown import number
from reports.statistics.growth import NAMES, axes_of, exponent, methods_of, points_of, share_of_ceiling
from reports.statistics.measures import MIB
from results.scale import Axis, ScalePoint, ScaleRecord

Value = Callable[[ScalePoint], float | None]
_POINT = {"method": "method", "axis": "varied", "value": "value"}
_TIME = _POINT | {"line": "line", "y": "seconds", "half_bar": "half_of_interquartile_range_seconds"}
"""Columns of the numbers that are drawn, by their names in the file."""


def growth_pictures(record: ScaleRecord, folder: Path) -> list[Picture]:
    """Draw the sweep into a folder, each picture as PNG and SVG with its numbers as CSV.

    Raises:
        OSError: the folder cannot be written to.
    """
    pictures = [_time(record, folder / "time.png"), _share(record, folder / "share-of-ceiling.png")]
    return [*pictures, _activations(record, folder / "activations.png")]


def _time(record: ScaleRecord, path: Path) -> Picture:
    axes = axes_of(record)
    with themed():
        _draw(record, axes, lambda point: point.seconds.median, path, _log_seconds, _TIME, bars=True)
    growth = "; ".join(
        f"{method}: " + ", ".join(f"{NAMES[axis]} {number(power, decimals=2)}" for axis, power in powers.items())
        for method in methods_of(record)
        if (powers := _powers(record, method))
    )
    return Picture(
        path.name,
        f"Line charts of the seconds of a training step against {', '.join(NAMES[axis] for axis in axes)}, one line a "
        f"method, both axes logarithmic. Fitted powers of growth: {growth or 'not known from one value'}.",
        "Time of a training step (with the images of an epoch: of an epoch) against what is varied; both axes are "
        "logarithmic, so that the slope of a line is the power with which the time grows. Points are medians over "
        "rounds, bars go from half an interquartile range below to half above. Dotted: what the counted operations "
        "would take at the speed of a matrix product.",
    )


def _share(record: ScaleRecord, path: Path) -> Picture:
    axes = axes_of(record)
    columns = _POINT | {"y": "share_of_ceiling"}
    with themed():
        _draw(record, axes, lambda point: share_of_ceiling(record, point), path, _percent, columns)
    at = [point for point in record.points if point.value == record.fixed[point.axis] and point.axis != "images"]
    shares = {point.method: share for point in at if (share := share_of_ceiling(record, point)) is not None}
    said = ", ".join(f"{method} {share:.0%}" for method, share in shares.items())
    return Picture(
        path.name,
        f"Line charts of the share of a matrix product's speed against {', '.join(NAMES[axis] for axis in axes)}, one "
        f"line a method. Where nothing is varied: {said or 'not measured'}.",
        "Counted operations a second as a share of what a matrix product reached on the same machine: 100% would be a "
        "step that does nothing but multiply and add.",
    )


def _activations(record: ScaleRecord, path: Path) -> Picture:
    axes = [axis for axis in axes_of(record) if axis != "images"]
    columns = _POINT | {"y": "activations_mib"}
    with themed():
        _draw(record, axes, lambda point: point.activation_bytes / MIB, path, _log_mib, columns)
    most = {
        method: max(point.activation_bytes for point in record.points if point.method == method) / MIB
        for method in methods_of(record)
    }
    return Picture(
        path.name,
        f"Line charts of activations held for backward in MiB against {', '.join(NAMES[axis] for axis in axes)}, one "
        f"line a method. Largest: {', '.join(f'{method} {number(value)} MiB' for method, value in most.items())}.",
        "Activations held for backward at the peak of one training step, counted exactly; both axes are logarithmic.",
    )


def _powers(record: ScaleRecord, method: str) -> dict[Axis, float]:
    found = {axis: exponent(points_of(record, axis, method)) for axis in axes_of(record)}
    return {axis: power for axis, power in found.items() if power is not None}


def _draw(
    record: ScaleRecord,
    axes: Sequence[Axis],
    value: Value,
    path: Path,
    scale_y: Callable[[Axes, Axis], None],
    columns: Mapping[str, str],
    *,
    bars: bool = False,
) -> None:
    """One panel for each axis, two in a row, and one legend; `columns` as in `save`."""
    rows = -(-len(axes) // 2)
    figure = Figure(figsize=(WIDTH_INCHES, 0.6 + 3.0 * rows), layout="constrained")
    grid = figure.subplots(rows, min(2, len(axes)), squeeze=False)
    methods = methods_of(record)
    look = looks(methods)
    drawn = []
    for axis, panel in zip(axes, grid.flat, strict=False):
        curves = {method: points_of(record, axis, method) for method in methods}
        drawn.append(_lines(panel, curves, value, look, bars=bars).assign(axis=axis, line="measured"))
        if bars:
            drawn.append(_bounds(panel, record, axis).assign(axis=axis, line="at a matrix product's speed"))
        ticks = sorted({point.value for point in record.points if point.axis == axis})
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,.0f}"))
        panel.set_xlabel(NAMES[axis])
        scale_y(panel, axis)
    for panel in grid.flat[len(axes) :]:
        panel.set_axis_off()
    legend(figure, look, methods)
    save(figure, path, pd.concat(drawn), columns)


def _lines(
    panel: Axes,
    curves: Mapping[str, Sequence[ScalePoint]],
    value: Value,
    look: Mapping[str, Look],
    *,
    bars: bool,
) -> pd.DataFrame:
    """Draw a line a method; what is drawn."""
    shown = [
        (method, point.value, y, point.seconds.iqr / 2)
        for method, points in curves.items()
        for point in points
        if (y := value(point)) is not None
    ]
    lines = pd.DataFrame(shown, columns=["method", "value", "y", "half_bar"])
    for method in curves:
        line = lines[lines["method"] == method]
        if line.empty:
            continue
        panel.errorbar(
            line["value"],
            line["y"],
            yerr=line["half_bar"] if bars else None,
            color=look[method].color,
            marker=look[method].marker,
            markersize=6,
            markeredgecolor="white",
            linewidth=1.6,
            capsize=3,
        )
    return lines


def _bounds(panel: Axes, record: ScaleRecord, axis: Axis) -> pd.DataFrame:
    """The counted operations at the ceiling's speed: one dotted line for each method whose count is another."""
    drawn: dict[tuple[tuple[int, float], ...], str] = {}
    for method in methods_of(record):
        points = [point for point in points_of(record, axis, method) if point.flops is not None]
        line = tuple((point.value, float(point.flops or 0) / record.ceiling.flops_per_second) for point in points)
        if line and line not in drawn:
            panel.plot(*zip(*line, strict=True), color="0.35", linestyle=":", linewidth=1.3)
            drawn[line] = method
    shown = [(method, *point) for line, method in drawn.items() for point in line]
    return pd.DataFrame(shown, columns=["method", "value", "y"])


def _log_seconds(panel: Axes, axis: Axis) -> None:
    _logarithmic(panel)
    panel.set_ylabel("an epoch (s)" if axis == "images" else "a training step (s)")


def _log_mib(panel: Axes, axis: Axis) -> None:
    _logarithmic(panel)
    panel.set_ylabel("activations (MiB)")


def _logarithmic(panel: Axes) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,g}"))


def _percent(panel: Axes, axis: Axis) -> None:
    panel.set_ylim(0, 1.08 * panel.dataLim.ymax)
    panel.set_ylabel("share of the ceiling")
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
