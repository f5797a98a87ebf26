"""The picture of resident memory over the time of training, as it was sampled from outside the training process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from reports.figures.style import Look, Picture, legend, panels, save, scale_x, themed
from reports.formats.markdown import number
from reports.statistics.measures import MIB
from reports.view import DatasetView
from results.schema import CellResult

_COLUMNS = {
    "method": "method",
    "seed": "seed",
    "seconds": "time_since_training_began_seconds",
    "rise": "memory_above_baseline_mib",
}
"""Columns of the numbers that are drawn, by their names in the file."""


def memory_over_time(
    data: DatasetView, methods: Sequence[str], looks: Mapping[str, Look], path: Path
) -> Picture | None:
    """Resident memory above the baseline against time since training began, for each method's first watched seed.

    One seed a method: seeds differ in time, so a mean over them would blur the steps. None where nothing was sampled.
    """
    cells = {method: cell for method in methods if (cell := _first_sampled(data.finished[method])) is not None}
    if not cells:
        return None
    series = {method: _series(cell) for method, cell in cells.items()}
    with themed():
        figure, (panel,) = panels(1, 3.8)
        for method, samples in series.items():
            look = looks[method]
            panel.plot(
                samples["seconds"],
                samples["rise"],
                color=look.color,
                marker=look.marker,
                markevery=max(1, len(samples) // 8),
                markersize=6,
                markeredgecolor="white",
                markeredgewidth=0.6,
                linewidth=1.4,
            )
        ends = [float(samples["seconds"].iloc[-1]) for samples in series.values()]
        logarithmic = scale_x(panel, ends)
        if logarithmic:
            panel.set_xlim(left=min(ends) / 20)
        panel.set(xlabel="time since training began (s)", ylabel="memory above baseline (MiB)")
        legend(figure, looks, list(cells))
        save(figure, path, pd.concat(series.values()), _COLUMNS)
    most = ", ".join(f"{method} {number(float(samples['rise'].max()))} MiB" for method, samples in series.items())
    seeds = sorted({cell.seed for cell in cells.values()})
    which = f"seed {seeds[0]}" if len(seeds) == 1 else "the first seed of each method"
    return Picture(
        path.name,
        f"Line chart of resident memory above the baseline in MiB against seconds since training began on {data.name}, "
        f"one line a method. Largest sample: {most}.",
        f"Resident memory of the cell's process over training and evaluation, {which}, above what it held before the "
        f"model was built{' (logarithmic time)' if logarithmic else ''}. Sampled from another process, so a short "
        "peak can fall between two samples: the table has the exact peaks.",
    )


def _first_sampled(cells: Sequence[CellResult]) -> CellResult | None:
    for cell in cells:
        if cell.machine is None or not cell.machine.rss_series or cell.baseline_rss_bytes is None:
            continue
        seconds, _ = cell.machine.rss_series[-1]
        if seconds > 0:  # else it was over before a second look
            return cell
    return None


def _series(cell: CellResult) -> pd.DataFrame:
    """A row a sample: seconds, and rise in MiB above the baseline."""
    assert cell.machine is not None
    assert cell.baseline_rss_bytes is not None
    samples = [(seconds, (held - cell.baseline_rss_bytes) / MIB) for seconds, held in cell.machine.rss_series]
    return pd.DataFrame(samples, columns=["seconds", "rise"]).assign(method=cell.method, seed=cell.seed)
