"""Memory of each method: increase of resident memory, activations and, if measured, GPU memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import pandas as pd
from matplotlib.axes import Axes

from reports.figures.figure import Figure, Words
from reports.figures.labels import folded
from reports.figures.seeds import MAX_DOTS, MEAN, spread_note
from reports.figures.selection import shown
from reports.figures.style import Styles, round_ticks, wrapped
from reports.formats.markdown import number
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, PEAK_RSS, RSS_RISE, Measure, is_measured
from reports.view import DatasetView

MIB, LEAST, MOST = "mib", "least_of_seeds_mib", "most_of_seeds_mib"


class Memory(Figure[DatasetView]):
    """Horizontal bars of the means, the least memory first, a black line from the least to the most, and few dots."""

    name = "memory"
    legend = None
    share = "y"

    def frame(self, data: DatasetView) -> pd.DataFrame:
        # The peak stands in if the increase is not known; beside it, it would say the same with less contrast.
        measures = (GPU_ALLOCATED, ACTIVATIONS, RSS_RISE if is_measured(data, RSS_RISE) else PEAK_RSS)
        rows = [row for measure in measures for row in _rows(data, measure)]
        return pd.DataFrame(rows, columns=["memory", "method", "seed", MIB, LEAST, MOST])

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        return 1, frame["memory"].nunique(), 1.3 + 0.3 * frame["method"].nunique()

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        means = frame[frame["seed"] == MEAN].sort_values(MIB, kind="stable")
        first = means[means["memory"] == frame["memory"].iloc[0]]["method"]
        methods = list(dict.fromkeys([*first, *means["method"]]))  # by the first panel
        axes[0].set_yticks(range(len(methods)), [folded(method) for method in methods])
        for panel, (name, rows) in zip(axes, frame.groupby("memory", sort=False), strict=True):
            rows = rows.assign(y=rows["method"].map(methods.index))
            means, seeds = rows[rows["seed"] == MEAN], rows[rows["seed"] != MEAN]
            panel.barh(means["y"], means[MIB], color=[styles[method].color for method in means["method"]], linewidth=0)
            for color, width in (("white", 3.0), ("0.15", 1.4)):  # with an edge, to be seen upon a black bar
                panel.hlines(means["y"], means[LEAST], means[MOST], colors=color, linewidths=width, zorder=3)
            panel.scatter(seeds[MIB], seeds["y"], s=14, color="0.15", edgecolor="white", lw=0.5, zorder=4)
            most = means[MOST].max()
            for y, end, mean in means[["y", MOST, MIB]].itertuples(index=False):
                panel.text(end + 0.025 * most, y, number(mean), va="center", fontsize="small")
            title = wrapped(f"{str(name)[0].upper()}{str(name)[1:]}", len(axes))
            panel.set(title=title, xlabel="memory (MiB)", ylim=(len(methods) - 0.4, -0.6))
            panel.set_xlim(0, most * (1.1 + 0.07 * len(axes)) or 1)
            panel.yaxis.grid(visible=False)
            round_ticks(panel.xaxis, 4)

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        bars: dict[str, str] = {}
        for name, rows in frame[frame["seed"] == MEAN].groupby("memory", sort=False):
            means = zip(rows["method"], rows[MIB], strict=True)
            bars[str(name)] = ", ".join(f"{method} {number(mib)} MiB" for method, mib in means)
        note = spread_note(data, "Bars and numbers", "black lines: from the least to the most")
        alt = "; ".join(f"{name}: {said}" for name, said in bars.items())
        caption = f"Memory by method: {', '.join(bars)}. Sorted by the first. {note}"
        return Words(f"Horizontal bar charts of memory on {data.name}. {alt}.", caption)


def _rows(data: DatasetView, measure: Measure) -> Iterator[tuple[object, ...]]:
    for method in shown(data):
        seeds = measure.values(data.finished[method])
        if not seeds:
            continue
        least, most = min(seeds.values()), max(seeds.values())
        yield measure.name, method, MEAN, fmean(seeds.values()), least, most
        if least < most and len(seeds) <= MAX_DOTS:
            for seed, held in seeds.items():
                yield measure.name, method, seed, held, None, None
