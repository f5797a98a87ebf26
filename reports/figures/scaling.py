"""The figures of a sweep by `bench.scale`: time, share of the ceiling and activations against what is varied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, PercentFormatter

from reports.figures.figure import Figure, Words
from reports.figures.style import Styles, plain_numbers
from reports.formats.markdown import number
from reports.statistics.measures import MIB
from results.scale import Axis, ScaleRecord

AXIS_LABELS: dict[Axis, str] = {
    "T": "number of blocks T",
    "batch_size": "batch size (images)",
    "side": "image side (pixels)",
    "images": "training images per epoch",
}
POINT = ["method", "varied", "value"]
SECONDS, IQR, SHARE, MEMORY = "seconds", "half_of_interquartile_range_seconds", "share_of_ceiling", "activations_mib"
MEASURED, AT_CEILING = "measured", "at a matrix product's speed"


def sweep_frame(record: ScaleRecord) -> pd.DataFrame:
    """A row per axis, method and value; the column `AT_CEILING` has the seconds of the counted operations."""
    rows = [
        (method, axis, point.value, point.seconds.median, point.seconds.iqr / 2, share, point.activation_bytes / MIB)
        for axis in record.axes
        for method in record.methods
        for point in record.points_of(axis, method)
        for share in [record.share_of_ceiling(point)]
    ]
    frame = pd.DataFrame(rows, columns=[*POINT, SECONDS, IQR, SHARE, MEMORY])
    return frame.assign(**{AT_CEILING: frame[SECONDS] * frame[SHARE].astype(float)})


class _Sweep(Figure[ScaleRecord]):
    """A panel for each axis that is varied, and in it a line per method; both axes of a panel are logarithmic."""

    legend = "lines"
    column: ClassVar[str]
    y_label: ClassVar[str]

    def frame(self, record: ScaleRecord) -> pd.DataFrame:
        return sweep_frame(record)[[*POINT, self.column]].dropna()

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        count = frame["varied"].nunique()
        rows = -(-count // 2)
        return rows, min(2, count), 0.6 + 3.0 * rows

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        for panel, (axis, rows) in zip(axes, frame.groupby("varied", sort=False), strict=False):
            self.draw_panel(panel, rows, styles)
            panel.set(xscale="log", xlabel=AXIS_LABELS[axis])  # type: ignore[index]
            panel.xaxis.set_major_locator(FixedLocator(sorted(rows["value"].unique())))
            panel.xaxis.set_minor_locator(NullLocator())
            plain_numbers(panel.xaxis)
            panel.set_ylabel(self.y_label.replace("step", "epoch") if axis == "images" else self.y_label)
        for panel in axes[frame["varied"].nunique() :]:
            panel.set_axis_off()

    def draw_panel(self, panel: Axes, rows: pd.DataFrame, styles: Styles) -> None:
        """The lines, and the y axis."""
        for method, line in rows.groupby("method", sort=False):
            style = styles[str(method)].line
            panel.errorbar(line["value"], line[self.column], yerr=line.get(IQR), linewidth=1.6, capsize=3, **style)
        values = rows[self.column]
        if (values > 0).all():  # a method may hold nothing, which a logarithmic axis does not reach
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_minor_locator(NullLocator())
        else:
            panel.set_ylim(0, 1.08 * values.max() or 1.0)
        plain_numbers(panel.yaxis)

    def alt(self, frame: pd.DataFrame, what: str, numbers: str) -> str:
        """The alternative text."""
        varied = ", ".join(AXIS_LABELS[axis] for axis in frame["varied"].unique())
        return f"Line charts of {what} against {varied}, one line per method. {numbers}."


class StepTime(_Sweep):
    """Medians over rounds with their interquartile range, and what the counted operations would take at the ceiling."""

    name = "time"
    column, y_label = SECONDS, "time per step (s)"

    def frame(self, record: ScaleRecord) -> pd.DataFrame:
        points = sweep_frame(record)
        bounds = points[[*POINT, AT_CEILING]].set_axis([*POINT, SECONDS], axis="columns").dropna()
        bounds = bounds.drop_duplicates(["varied", "value", SECONDS])  # methods with the same operations share a line
        return pd.concat([points.assign(line=MEASURED), bounds.assign(line=AT_CEILING)])[[*POINT, "line", SECONDS, IQR]]

    def draw_panel(self, panel: Axes, rows: pd.DataFrame, styles: Styles) -> None:
        super().draw_panel(panel, rows[rows["line"] == MEASURED], styles)
        for _, line in rows[rows["line"] == AT_CEILING].groupby("method"):
            panel.plot(line["value"], line[SECONDS], color="0.35", linestyle=":", linewidth=1.3)

    def words(self, frame: pd.DataFrame, record: ScaleRecord) -> Words:
        powers = [
            f"{method} {number(power, decimals=2)} in {AXIS_LABELS[axis]}"
            for method in record.methods
            for axis in record.axes
            if (power := record.growth_power(axis, method)) is not None
        ]
        growth = f"Fitted powers of growth: {', '.join(powers) or 'not known from one value'}"
        return Words(
            self.alt(frame, "the seconds of a training step", f"Both axes are logarithmic. {growth}"),
            "Time of a training step (or of an epoch, if its images are varied). Both axes are logarithmic, so the "
            "slope of a line is the power with which the time grows. Points: medians over rounds; bars: half an "
            "interquartile range up and down. Dotted: what the counted operations would take at the speed of a matrix "
            "product.",
        )


class ShareOfCeiling(_Sweep):
    """How near a training step comes to the speed of a matrix product."""

    name = "share-of-ceiling"
    column, y_label = SHARE, "share of the ceiling (%)"

    def draw_panel(self, panel: Axes, rows: pd.DataFrame, styles: Styles) -> None:
        super().draw_panel(panel, rows, styles)
        panel.set(yscale="linear", ylim=(0, 1.08 * rows[SHARE].max()))
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))

    def words(self, frame: pd.DataFrame, record: ScaleRecord) -> Words:
        unvaried = frame[(frame["value"] == frame["varied"].map(record.fixed)) & (frame["varied"] != "images")]
        shares = unvaried.groupby("method", sort=False)[SHARE].last()
        said = ", ".join(f"{method} {share:.0%}" for method, share in shares.items())
        return Words(
            self.alt(frame, "the share of a matrix product's speed", f"If nothing is varied: {said or 'not measured'}"),
            "Counted operations per second as a share of what a matrix product reached on the same machine: 100% would "
            "be a step that does nothing but multiply and add.",
        )


class StepActivations(_Sweep):
    """Memory of a training step."""

    name = "activations"
    column, y_label = MEMORY, "activation memory (MiB)"

    def frame(self, record: ScaleRecord) -> pd.DataFrame:
        points = super().frame(record)
        return points[points["varied"] != "images"]  # the steps of an epoch all hold the same

    def words(self, frame: pd.DataFrame, record: ScaleRecord) -> Words:
        most = frame.groupby("method", sort=False)[MEMORY].max()
        said = ", ".join(f"{method} {number(mib)} MiB" for method, mib in most.items())
        return Words(
            self.alt(frame, "activation memory in MiB", f"Largest: {said}"),
            "Activation memory at the peak of one training step, counted exactly; both axes are logarithmic"
            + (", but for that of memory where a method holds nothing." if (frame[MEMORY] == 0).any() else "."),
        )


FIGURES: tuple[Figure[ScaleRecord], ...] = (StepTime(), ShareOfCeiling(), StepActivations())
