"""The tables of one data set: one row a method, every figure over the method's finished seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from reports.formats.markdown import (
    MISSING,
    ONE_SEED,
    alike,
    code,
    exact,
    markdown_table,
    number,
    plus_minus,
    times,
)
from reports.statistics.estimates import RatioEstimate, estimate, paired_differences, paired_ratios, ratio_estimate
from reports.statistics.measures import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    MIB,
    PEAK_RSS,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_FLOPS,
    TRAIN_SECONDS,
    VAL_ACCURACY,
    Measure,
    depth_profile,
    is_measured,
)
from reports.statistics.noise import is_noise
from reports.view import DatasetView
from results.schema import CellResult


@dataclass(frozen=True, slots=True)
class MethodTable:
    """A row a method, as text that is not yet Markdown or LaTeX."""

    headers: list[str]
    """The first is that of the methods."""
    rows: list[list[str]]
    """The first entry of each is the method's name."""

    def markdown(self, groups: Mapping[str, Sequence[str]] | None = None) -> str:
        """As a GitHub table, names as code; above each group of methods, where there are any, a row with its name."""
        by_method = {method: [code(method), *entries] for method, *entries in self.rows}
        if not groups:
            return markdown_table(self.headers, by_method.values())
        rows = []
        for name, methods in groups.items():
            rows.append([f"*{name}*", *("" for _ in self.headers[1:])])
            rows += [by_method[method] for method in methods]
        return markdown_table(self.headers, rows)


ACCURACY_AND_TIME = (
    TEST_ACCURACY,
    VAL_ACCURACY,
    TRAIN_SECONDS,
    Measure("images/s", "images_per_second"),
    Measure("evaluation, s", "eval_seconds"),
)
MEMORY_AND_SIZE = (
    PEAK_RSS,
    RSS_RISE,
    ACTIVATIONS,
    Measure("parameters", "parameters", decimals=0, exact=True),
    Measure("parameters, MiB", "parameter_bytes", MIB, exact=True),
    Measure("optimiser state, MiB", "optimizer_bytes", MIB, exact=True),
)
GPU_MEMORY = (
    GPU_ALLOCATED,
    Measure("GPU peak reserved, MiB", "gpu_peak_reserved_bytes", MIB),
    Measure("GPU process at end, MiB", "gpu_process_bytes", MIB),
)
WORK = (TRAIN_FLOPS, Measure("prediction, MFLOP per image", "predict_flops_per_image", 1e6, exact=True))
SPREAD = (
    (TEST_ACCURACY, "test accuracy, points"),
    (VAL_ACCURACY, "validation accuracy, points"),
    (TRAIN_SECONDS, "training, s"),
    (RSS_RISE, "rise over baseline, MiB"),
    (GPU_ALLOCATED, "GPU peak allocated, MiB"),
)
RATIOS = (
    (TRAIN_SECONDS, "training time, ratio"),
    (PEAK_RSS, "peak resident, ratio"),
    (RSS_RISE, "rise over baseline, ratio"),
    (ACTIVATIONS, "activations, ratio"),
    (TRAIN_FLOPS, "training FLOPs, ratio"),
    (GPU_ALLOCATED, "GPU peak allocated, ratio"),
)


def summary(data: DatasetView, columns: Sequence[Measure]) -> MethodTable:
    """Means with their intervals over seeds, a column for each of the measures that any cell has."""
    measures = [measure for measure in columns if is_measured(data, measure)]
    rows = [[method, *_figures(cells, data.planned[method], measures)] for method, cells in data.finished.items()]
    return MethodTable(["method", "seeds", *(measure.header for measure in measures)], rows)


def accuracy_and_time(data: DatasetView) -> str:
    """Accuracies after the last epoch and wall-clock times; one seed is named as such.

    The methods are under how credit reaches their weights, where that is known.
    """
    return summary(data, ACCURACY_AND_TIME).markdown(data.groups)


def memory_and_size(data: DatasetView) -> str:
    """Resident memory, exact activation bytes, and what the model and its optimiser hold."""
    return summary(data, MEMORY_AND_SIZE).markdown()


def gpu_memory(data: DatasetView) -> str | None:
    """The GPU columns; None where no cell has any."""
    return summary(data, GPU_MEMORY).markdown() if any(is_measured(data, each) for each in GPU_MEMORY) else None


def work(data: DatasetView) -> str | None:
    """Floating-point operations for each image; None where no cell has any."""
    return summary(data, WORK).markdown() if any(is_measured(data, measure) for measure in WORK) else None


def spread(data: DatasetView) -> str | None:
    """Standard deviations over seeds, of whatever varies by chance; None where no method has two seeds."""
    columns = [(measure, header) for measure, header in SPREAD if is_measured(data, measure)]
    deviations: dict[str, list[float | None]] = {}
    for method in data.drawn:
        estimates = [estimate(measure.values(data.finished[method]).values()) for measure, _ in columns]
        deviations[method] = [None if each is None else each.sd for each in estimates]
    several = {method: found for method, found in deviations.items() if any(sd is not None for sd in found)}
    if not several:
        return None
    shown = [
        alike([math.nan if sd is None else sd for sd in column], decimals=measure.decimals)
        for column, (measure, _) in zip(zip(*several.values(), strict=True), columns, strict=True)
    ]
    seeds = [str(len(data.finished[method])) for method in several]
    rows = zip(map(code, several), seeds, *shown, strict=True)
    return markdown_table(["method", "seeds", *(header for _, header in columns)], rows)


def ratios(data: DatasetView) -> str | None:
    """Every other method against the reference, as `compared` has it."""
    table = compared(data, RATIOS)
    return None if table is None else table.markdown()


def compared(data: DatasetView, columns: Sequence[tuple[Measure, str]]) -> MethodTable | None:
    """Every other method against the reference, paired by seed; None without a reference or another method.

    The difference in test accuracy, and the ratio of each of the measures that any cell has under its header.
    """
    if data.reference is None or not data.rivals:
        return None
    baseline = data.finished[data.reference]
    columns = [(measure, header) for measure, header in columns if is_measured(data, measure)]
    rows = []
    for method in data.rivals:
        cells = data.finished[method]
        shared = len(data.shared_seeds(method))
        gap = estimate(paired_differences(TEST_ACCURACY.values(cells), TEST_ACCURACY.values(baseline)))
        difference = plus_minus(gap, decimals=2, signed=True, expected=shared)
        row = [method, str(shared), difference + (ONE_SEED if gap is not None and gap.n == 1 else "")]
        for measure, _ in columns:
            values = paired_ratios(measure.values(cells), measure.values(baseline))
            row.append(exact(values) if measure.exact else _ratio(data, measure, values, shared))
        rows.append(row)
    return MethodTable(["method", "seeds", "test accuracy, points", *(header for _, header in columns)], rows)


def activations_by_depth(data: DatasetView) -> str | None:
    """Activation bytes at each depth T in MiB, and the growth from the least T to the most; None without any."""
    by_method = {method: depth_profile(data.finished[method]) for method in data.drawn}
    depths = sorted({depth for profile in by_method.values() for depth in profile})
    if not depths:
        return None
    rows = []
    for method, profile in by_method.items():
        if not profile:
            continue
        growth = MISSING
        if len(profile) > 1 and (least := max(profile[min(profile)])):
            growth = f"{number(max(profile[max(profile)]) / least)}×"
        row = [exact([held / MIB for held in profile[depth]]) if depth in profile else MISSING for depth in depths]
        rows.append([code(method), *row, growth])
    last = f"T = {depths[-1]} / T = {depths[0]}" if len(depths) > 1 else "growth"
    return markdown_table(["method", *(f"T = {depth}" for depth in depths), last], rows)


def short_table(cells: list[CellResult]) -> str:
    """Plain text for the terminal, a table for each data set: the five figures to look at first.

    `cells` may hold failures: `seeds` then says how many of the method's cells are behind its row. Means over seeds,
    with the 95% Student t half width from two seeds on.
    """
    measures = [TEST_ACCURACY, TRAIN_SECONDS, PEAK_RSS, ACTIVATIONS]
    if any(cell.gpu_peak_allocated_bytes is not None for cell in cells):
        measures.append(GPU_ALLOCATED)
    groups: dict[str, dict[str, list[CellResult]]] = {}
    for cell in cells:
        groups.setdefault(cell.dataset, {}).setdefault(cell.method, []).append(cell)
    headers = ["method", "seeds", *(measure.header for measure in measures)]
    headers[headers.index(ACTIVATIONS.header)] = "activations, MiB"
    tables = []
    for dataset, methods in groups.items():
        rows = [
            [method, *_figures([cell for cell in group if cell.status == "ok"], len(group), measures)]
            for method, group in methods.items()
        ]
        align = ["left", *("right" for _ in headers[1:])]
        table = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
        tables.append(f"{dataset}\n{table}")
    return "\n\n".join(tables) if tables else "No cell has finished."


def _figures(cells: Sequence[CellResult], planned: int, measures: Sequence[Measure]) -> list[str]:
    """The number of seeds and one entry a measure, for one method."""
    n = len(cells)
    row = [str(n) if n == planned else f"{n} of {planned}"]
    for measure in measures:
        values = measure.values(cells)
        if measure.exact:
            row.append(exact(values.values(), decimals=measure.decimals))
            continue
        mean = estimate(values.values())
        entry = plus_minus(mean, decimals=measure.decimals, expected=n)
        is_named = measure is TEST_ACCURACY and mean is not None and mean.n == 1
        row.append(entry + ONE_SEED if is_named else entry)
    return row


def _ratio(data: DatasetView, measure: Measure, values: Sequence[float], expected: int) -> str:
    """A mean ratio, and whether a method against itself gives as much."""
    mean = ratio_estimate(values)
    return times(mean, expected=expected) + noise_mark(data, measure, mean)


def noise_mark(data: DatasetView, measure: Measure, ratio: RatioEstimate | None) -> str:
    """What is put behind a mean ratio that a method against itself gives as well; else nothing."""
    within = ratio is not None and is_noise(data.calibration, measure.field, ratio.mean, ratio.n)
    return " (within noise)" if within else ""
