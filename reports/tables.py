"""Tables of methods by measure: means over seeds, and every method compared with the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from reports.formats.markdown import ONE_SEED, Markdown, code, exact, markdown_table, plural, plus_minus, ranges, times
from reports.statistics.estimates import BOOTSTRAP_FROM, RatioEstimate, estimate, ratio_estimate
from reports.statistics.measures import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    PEAK_RSS,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    Measure,
    is_measured,
    paired,
)
from reports.statistics.noise import is_noise
from reports.view import DatasetView, RunView
from results.schema import CellResult

LATEX_MEASURES = (TRAIN_SECONDS, RSS_RISE, ACTIVATIONS, GPU_ALLOCATED)


@dataclass(frozen=True, slots=True)
class MethodTable:
    """A row a method, as text that is not yet Markdown or LaTeX."""

    headers: list[str]
    """The first is that of the methods."""
    rows: list[list[str]]
    """The first entry of each is the method's name."""

    def markdown(self, groups: Mapping[str, Sequence[str]] | None = None) -> Markdown:
        """As a GitHub table, names as code; above each group of methods, where there are any, a row with its name."""
        by_method = {method: [code(method), *entries] for method, *entries in self.rows}
        if not groups:
            return markdown_table(self.headers, by_method.values())
        rows = []
        for name, methods in groups.items():
            rows.append([f"*{name}*", *("" for _ in self.headers[1:])])
            rows += [by_method[method] for method in methods]
        return markdown_table(self.headers, rows)


def summary(data: DatasetView, columns: Sequence[Measure]) -> MethodTable:
    """Means with their intervals over seeds, a column for each of the measures that any cell has."""
    measures = [measure for measure in columns if is_measured(data, measure)]
    rows = [[method, *_entries(cells, data.planned[method], measures)] for method, cells in data.finished.items()]
    return MethodTable(["method", "seeds", *(measure.header for measure in measures)], rows)


def compared(data: DatasetView, columns: Sequence[Measure]) -> MethodTable | None:
    """Every other method against the reference, paired by seed; None without a reference or another method.

    The difference in test accuracy, and the ratio of each of the measures that any cell has.
    """
    if data.reference is None or not data.rivals:
        return None
    measures = [measure for measure in columns if is_measured(data, measure)]
    rows = []
    for method in data.rivals:
        shared = len(data.shared_seeds(method))
        gap = estimate(paired(data, TEST_ACCURACY, method, data.reference))
        difference = plus_minus(gap, decimals=2, signed=True, expected=shared)
        row = [method, str(shared), difference + (ONE_SEED if gap is not None and gap.n == 1 else "")]
        for measure in measures:
            ratios = paired(data, measure, method, data.reference)
            mean = ratio_estimate(ratios)
            mark = noise_mark(data, measure, mean) if mean else ""
            row.append(exact(ratios) if measure.exact else times(mean, expected=shared) + mark)
        rows.append(row)
    headers = ["method", "seeds", f"{TEST_ACCURACY.name}, points", *(f"{measure.name}, ratio" for measure in measures)]
    return MethodTable(headers, rows)


def noise_mark(data: DatasetView, measure: Measure, ratio: RatioEstimate) -> str:
    """What is put behind a mean ratio that a method compared with itself gives as well; else nothing."""
    return " (within noise)" if is_noise(data.calibration, measure.field, ratio.mean, ratio.n) else ""


def short_table(cells: Iterable[CellResult]) -> str:
    """Plain text for the terminal, a table for each data set: the five figures to look at first.

    `cells` may hold failures: `seeds` then says how many of the method's cells are behind its row. Means over seeds,
    with half of the 95% interval from two seeds on.
    """
    groups: dict[str, dict[str, list[CellResult]]] = {}
    measures = [TEST_ACCURACY, TRAIN_SECONDS, PEAK_RSS, ACTIVATIONS]
    for cell in cells:
        groups.setdefault(cell.dataset, {}).setdefault(cell.method, []).append(cell)
        if cell.gpu_peak_allocated_bytes is not None and GPU_ALLOCATED not in measures:
            measures.append(GPU_ALLOCATED)
    headers = ["method", "seeds", *(measure.header for measure in measures)]
    tables = []
    for dataset, methods in groups.items():
        rows = [
            [method, *_entries([cell for cell in group if cell.status == "ok"], len(group), measures)]
            for method, group in methods.items()
        ]
        align = ["left", *("right" for _ in headers[1:])]
        table = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
        tables.append(f"{dataset}\n{table}")
    return "\n\n".join(tables) if tables else "No cell has finished."


def _entries(cells: Sequence[CellResult], planned: int, measures: Iterable[Measure]) -> list[str]:
    """The number of seeds and one entry a measure, for one method."""
    n = len(cells)
    row = [str(n) if n == planned else f"{n} of {planned}"]
    for measure in measures:
        values = measure.values(cells).values()
        if measure.exact:
            row.append(exact(values, decimals=measure.decimals))
            continue
        mean = estimate(values)
        is_named = measure is TEST_ACCURACY and mean is not None and mean.n == 1
        row.append(plus_minus(mean, decimals=measure.decimals, expected=n) + (ONE_SEED if is_named else ""))
    return row


def latex_tables(run: RunView, names: Mapping[str, str]) -> str:
    """`tables.tex`: for each data set a table of accuracy, time and memory, and one of the comparison with backprop.

    Args:
        run: the run.
        names: of the data sets in the tables' labels, `tab:<name>` and `tab:<name>-ratios`.
    """
    from reports.formats.latex import PREAMBLE, latex_table  # pandas takes a while to import

    blocks = [PREAMBLE.format(run=" ".join(run.record.run_id.split()))]
    interval = f"a 95% interval (Student t; from {BOOTSTRAP_FROM} seeds on the studentised bootstrap)"
    for data in run.datasets:
        if not data.drawn:
            continue
        seeds = sorted({cell.seed for cell in data.cells})
        over, label = f"{plural(len(seeds), 'seed')} ({ranges(seeds)})", f"tab:{names[data.name]}"
        caption = (
            f"Results on {data.name} over {over}: means ± half of {interval}; none for a single seed. Accuracy after "
            f"the last epoch; time of the training loop only. {RSS_RISE.name.capitalize()}: peak resident memory minus "
            f"resident memory before the model was built. {ACTIVATIONS.name.capitalize()} is counted exactly. A dash: "
            "not measured."
        )
        table = summary(data, (TEST_ACCURACY, *LATEX_MEASURES))
        blocks.append(latex_table(table.headers, table.rows, caption, label))
        ratios = None if run.record.purpose == "calibration" else compared(data, LATEX_MEASURES)
        if ratios is not None:
            caption = (
                f"Every method on {data.name} compared with {data.reference} on the same seeds, over {over}. Accuracy: "
                f"mean difference in percentage points ± half of {interval}. Ratios: geometric means with the same "
                "interval in brackets; none if counted exactly."
            )
            blocks.append(latex_table(ratios.headers, ratios.rows, caption, f"{label}-ratios"))
    return "\n".join(blocks)
