"""What each block has learned after training: its accuracy, its denoising error and the weight of its loss."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from reports.figures.figure import Figure, Words
from reports.figures.seeds import BAND, most_seeds, over_seeds
from reports.figures.selection import highlighted
from reports.figures.style import HEIGHT_INCHES, Styles, draw_lines, is_logarithmic
from reports.statistics.diagnostics import block_frame, methods_with_blocks
from reports.view import DatasetView, Family

MAX_METHODS = 6
"""Each has two lines in a panel. The tables have all methods."""
MEAN, LEAST, MOST = (f"{name}_of_seeds" for name in ("mean", "least", "most"))
UNITS = {"own_accuracy": "percent", "image_accuracy": "percent", "denoising_error": "1", "snr_weight": "1"}


class Blocks(Figure[DatasetView]):
    """Mean over seeds and a band from the least to the most, against the time of a block's input."""

    name = "blocks"
    legend = "lines"

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        rows = block_frame(data, only_last=True, methods=chosen(data, MAX_METHODS))
        if rows.empty:
            return None
        parts = []
        for quantity, unit in UNITS.items():
            curves = over_seeds(rows.dropna(subset=quantity), ["method", "time"], quantity, [MEAN, LEAST, MOST])
            parts.append(curves.assign(quantity=quantity, unit=unit))
        return pd.concat(parts)[["method", "quantity", "unit", "time", MEAN, LEAST, MOST]]

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        return 1, 3, HEIGHT_INCHES

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        accuracy, error, weight = axes
        of = {"own_accuracy": accuracy, "image_accuracy": accuracy, "denoising_error": error, "snr_weight": weight}
        for quantity, rows in frame.groupby("quantity", sort=False):
            panel, linestyle = of[str(quantity)], "--" if quantity == "image_accuracy" else "-"
            draw_lines(panel, rows, "time", MEAN, styles, band=(LEAST, MOST), linestyle=linestyle)
            if panel is not accuracy:
                scale_y(panel, pd.concat([rows[LEAST], rows[MOST]]))
        accuracy.set(title="Accuracy of each block", ylabel="accuracy (%)", ylim=(-2, 102))
        error.set(title="Denoising error", ylabel="|û − u|² / |u|²")
        weight.set(title="Weight of the block's loss", ylabel="SNR weight")
        for panel in axes:
            panel.set(xlabel="time of the block's input\n(0: pure noise)", xlim=(-0.03, 1.0))
        if not weight.lines:
            weight.set_axis_off()
            weight.set_title("No weights in these losses", y=0.5)
        own = Line2D([], [], color="0.3", linestyle="-", label="own task")
        image = Line2D([], [], color="0.3", linestyle="--", label="accuracy from image and pure noise")
        figure = axes[0].figure
        figure.legend(handles=[own, image], loc="outside upper left", ncols=2, frameon=False, fontsize="small")

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        is_stack = {"T" in data.finished[method][0].config.options for method in frame["method"].unique()}
        text = "Each block after the last epoch, by the time of its input. "
        if len(is_stack) > 1:
            text += (
                "Weights have different scales in stacks (from the increase of SNR over a block) and in continuous "
                "time (from its slope). "
            )
        text += "One seed per method." if most_seeds(data) == 1 else BAND
        own = frame[frame["quantity"] == "own_accuracy"].sort_values("time").groupby("method", sort=False)[MEAN].first()
        said = ", ".join(f"{method} {own[method]:.2f}%" for method in frame["method"].unique())
        return Words(
            f"Line charts of accuracy, denoising error and loss weight of each block on {data.name}. "
            f"First block's own task: {said}.",
            text + left_out(MAX_METHODS, methods_with_blocks(data)),
        )


def scale_y(panel: Axes, values: pd.Series) -> None:
    """A logarithmic y axis if the values are far apart, else one from zero."""
    if is_logarithmic(values, spread=30.0):
        panel.set_yscale("log")
        panel.yaxis.set_minor_locator(NullLocator())  # they have neither marks nor labels here, but take time
    else:
        panel.set_ylim(0, 1.05 * float(values.max()) or 1)


def chosen(data: DatasetView, limit: int) -> list[str]:
    """At most that many methods with blocks: those of NoProp and those that other figures highlight come first."""
    strong = highlighted(data)

    def rank(method: str) -> tuple[bool, bool]:
        return method not in strong, data.families[method] is not Family.NOPROP

    return sorted(methods_with_blocks(data), key=rank)[:limit]


def left_out(limit: int, methods: Sequence[str]) -> str:
    """The sentence on methods beyond the limit."""
    return f" {limit} of {len(methods)} methods are shown, NoProp's first." if len(methods) > limit else ""
