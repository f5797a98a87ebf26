"""The section on energy: what counters gave, and in plain words where there was none to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.formats.markdown import capital, code, markdown_table, number, plus_minus
from reports.statistics.estimates import estimate
from reports.statistics.measures import Measure, is_measured
from reports.view import DatasetView
from results.schema import CellResult

CPU_ENERGY = Measure("CPU packages, J", "cpu_joules")
GPU_ENERGY = Measure("GPU, J", "gpu_joules")
NOT_READABLE = "not readable here"
_SOURCES = {
    "counter": "the card's own counter (NVML)",
    "sampled power": "the card's power, sampled once a second and integrated (NVML; the card has no energy counter)",
}


def section(data: DatasetView, sharing: str | None) -> Iterator[str]:
    """A table, and what is in its figures, as Markdown blocks; nothing where no cell was watched."""
    watched = [cell for cell in data.cells if cell.machine is not None]
    if not watched:
        return
    on_card = any(cell.config.device.startswith("cuda") for cell in watched)
    measures = [CPU_ENERGY, *([GPU_ENERGY] if on_card else [])]
    yield "### Energy"
    if sharing:
        yield f"{capital(sharing)}, and energy is that of the whole machine: there is none of a single cell."
        return
    if not any(is_measured(data, measure) for measure in measures):
        yield f"Energy of the {'CPU packages and the card' if on_card else 'CPU packages'}: {NOT_READABLE}."
        return
    rows = []
    for method in data.drawn:
        cells = data.finished[method]
        row = [code(method), str(len(cells))]
        for measure in measures:
            joules = estimate(measure.values(cells).values())
            row.append(NOT_READABLE if joules is None else plus_minus(joules, expected=len(cells)))
        rows.append([*row, *(_a_thousand_images(cells, measure) for measure in measures)])
    headers = [*(measure.header for measure in measures), *(f"{_short(m)}, J per 1,000 images" for m in measures)]
    yield markdown_table(["method", "seeds", *headers], rows)
    said = []
    if is_measured(data, CPU_ENERGY):
        said.append("CPU energy is that of whole packages (RAPL), idle cores and whatever else ran on them included")
    sources = dict.fromkeys(cell.gpu_joules_source for cell in watched if cell.gpu_joules_source)
    said += [f"GPU energy is that of the whole card, from {_SOURCES[source]}" for source in sources]
    yield f"Over the training steps alone, as the training seconds are. {'; '.join(said)}."


def _a_thousand_images(cells: Sequence[CellResult], measure: Measure) -> str:
    """Mean energy per thousand training images."""
    values = [
        1000 * getattr(cell, measure.field) / (cell.images_per_second * cell.train_seconds)
        for cell in cells
        if getattr(cell, measure.field) is not None and cell.images_per_second and cell.train_seconds
    ]
    joules = estimate(values)
    return NOT_READABLE if joules is None else number(joules.mean)


def _short(measure: Measure) -> str:
    return "CPU" if measure is CPU_ENERGY else "GPU"
