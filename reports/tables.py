"""Tables of methods by measure: means over seeds, and every method compared with the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from reports.formats.effects import points, ratio
from reports.formats.markdown import (
    MISSING,
    ONE_SEED,
    Markdown,
    code,
    exact,
    markdown_table,
    number,
    plural,
    plus_minus,
    ranges,
    times,
)
from reports.statistics.effect import Effect, Verdict
from reports.statistics.estimates import BOOTSTRAP_FROM, DIFFERENCES, RatioEstimate, estimate, ratio_estimate
from reports.statistics.measures import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    PERCENT,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    Measure,
    is_measured,
    paired,
)
from reports.statistics.noise import is_noise
from reports.statistics.questions import Judged, findings
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

    def plain(self) -> str:
        """As text for the terminal."""
        align = ["left", *("right" for _ in self.headers[1:])]
        return tabulate(self.rows, self.headers, tablefmt="simple", colalign=align, disable_numparse=True)

    def markdown(self, groups: Mapping[str, Sequence[str]] | None = None) -> Markdown:
        """As a GitHub table, names as code; above each group of methods, where there are any, a row with its name.

        Methods are in the order of the rows, within a group too.
        """
        by_method = {method: [code(method), *entries] for method, *entries in self.rows}
        if not groups:
            return markdown_table(self.headers, by_method.values())
        rows = []
        for name, methods in groups.items():
            rows.append([f"*{name}*", *("" for _ in self.headers[1:])])
            rows += [row for method, row in by_method.items() if method in methods]
        return markdown_table(self.headers, rows)


MARKS = {Verdict.BETTER: "✓", Verdict.WORSE: "✗", Verdict.EQUIVALENT: "=", Verdict.UNDECIDED: "?"}
"""Behind a figure."""


def answer_table(data: DatasetView) -> MethodTable:
    """Every method against the reference in the three questions, each figure with the mark of its verdict."""
    found = findings(data)
    rows = []
    for row in found.rows:
        accuracy = MISSING if row.test_accuracy is None else number(row.test_accuracy, decimals=2)
        if row.method == data.reference:
            rows.append([row.method, accuracy, "0 (reference)", "1", "1"])
            continue
        judged = ((row.accuracy, points), (row.time, ratio), (row.memory, ratio))
        rows.append([row.method, accuracy, *(marked(each, form) for each, form in judged)])
    return MethodTable(["method", TEST_ACCURACY.header, "difference, points", "time, ratio", "memory, ratio"], rows)


def marked(judged: Judged | None, form: Callable[[Effect], str]) -> str:
    """An effect with the mark of its verdict and, where it is undecided, the seeds that would decide."""
    if judged is None:
        return MISSING
    seeds = f" ({plural(judged.seeds_needed, 'seed')})" if judged.seeds_needed else ""
    return f"{form(judged.effect)} {MARKS[judged.verdict]}{seeds}"


def summary(data: DatasetView, columns: Sequence[Measure]) -> MethodTable:
    """Means with their intervals over seeds, a column for each measure that any cell has; sorted by the first."""
    measures = [measure for measure in columns if is_measured(data, measure)]
    ordered = _sorted(data, data.finished, measures[0]) if measures else list(data.finished)
    rows = [[method, *_entries(data.finished[method], data.planned[method], measures)] for method in ordered]
    return MethodTable(["method", "seeds", *(measure.header for measure in measures)], rows)


def compared(data: DatasetView, columns: Sequence[Measure]) -> MethodTable | None:
    """Every other method against the reference, paired by seed; None without a reference or another method.

    The difference in test accuracy, and the ratio of each of the measures that any cell has.
    """
    if data.reference is None or not data.rivals:
        return None
    measures = [measure for measure in columns if is_measured(data, measure)]
    rows = []
    for method in _sorted(data, data.rivals, TEST_ACCURACY):
        shared = len(data.shared_seeds(method))
        gap = estimate(paired(data, TEST_ACCURACY, method, data.reference), limits=DIFFERENCES)
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


def _sorted(data: DatasetView, methods: Iterable[str], measure: Measure) -> list[str]:
    """Methods by their mean, the best first; those without one last, in the order in which they came."""
    sign = -1 if measure.scale == PERCENT else 1  # an accuracy is best where it is highest

    def place(method: str) -> float:
        mean = measure.mean(data.finished[method])
        return math.inf if mean is None else sign * mean.mean

    return sorted(methods, key=place)


def noise_mark(data: DatasetView, measure: Measure, ratio: RatioEstimate) -> str:
    """What is put behind a mean ratio that a method compared with itself gives as well; else nothing."""
    return " (within noise)" if is_noise(data.calibration, measure.field, ratio.mean, ratio.n) else ""


def _entries(cells: Sequence[CellResult], planned: int, measures: Iterable[Measure]) -> list[str]:
    """The number of seeds and one entry a measure, for one method."""
    n = len(cells)
    row = [str(n) if n == planned else f"{n} of {planned}"]
    for measure in measures:
        values = measure.values(cells).values()
        if measure.exact:
            row.append(exact(values, decimals=measure.decimals))
            continue
        mean = measure.mean(cells)
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
            f"Results on {data.name} over {over}: means ± half of {interval}, or its ends where it "
            "reaches what is impossible; none for a single seed. Accuracy after "
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
