"""Resident memory over training, as sampled from outside the training process."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from reports.figures.figure import Figure, Words
from reports.figures.selection import shown
from reports.figures.style import Styles, draw_lines, is_logarithmic, scale_x
from reports.formats.markdown import number
from reports.statistics.measures import MIB
from reports.view import DatasetView
from results.schema import CellResult

TIME, RISE = "time_since_training_began_seconds", "memory_above_baseline_mib"


class MemoryOverTime(Figure[DatasetView]):
    """One seed per method, the first that was sampled: seeds differ in time, so a mean would blur the steps."""

    name = "memory-over-time"
    legend = "margin"

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        sampled = (_samples(data.finished[method]) for method in shown(data))
        found = [samples for samples in sampled if samples is not None]
        return pd.concat(found) if found else None

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        (panel,) = axes
        draw_lines(panel, frame, TIME, RISE, styles, linewidth=1.4)
        ends = frame.groupby("method")[TIME].max()
        if scale_x(panel, ends):
            panel.set_xlim(left=ends.min() / 20)
        panel.set(xlabel="time since training began (s)", ylabel="memory above baseline (MiB)")

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        seeds, by_method = frame["seed"].unique(), frame.groupby("method", sort=False)
        which = f"seed {seeds[0]}" if len(seeds) == 1 else "the first seed of each method"
        logarithmic = " (logarithmic time)" if is_logarithmic(by_method[TIME].max()) else ""
        most = ", ".join(f"{method} {number(rise)} MiB" for method, rise in by_method[RISE].max().items())
        return Words(
            "Line chart of resident memory above the baseline in MiB against seconds since training began on "
            f"{data.name}, one line per method. Largest sample: {most}.",
            f"Resident memory of the cell's process over training and evaluation, {which}, above what it used before "
            f"the model was built{logarithmic}. Another process takes the samples and can miss a short peak; the table "
            "has the exact peaks.",
        )


def _samples(cells: Sequence[CellResult]) -> pd.DataFrame | None:
    """Those of the first cell that was not over before a second sample."""
    for cell in cells:
        series, baseline = cell.machine.rss_series if cell.machine else [], cell.baseline_rss_bytes
        if baseline is not None and any(time > 0 for time, _ in series):
            rows = [(cell.method, cell.seed, time, (rss - baseline) / MIB) for time, rss in series]
            return pd.DataFrame(rows, columns=["method", "seed", TIME, RISE])
    return None
