"""Energy of the training steps, from the counters of CPU and GPU; said in words where they cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import Markdown, code, markdown_table, number, plus_minus
from reports.formats.prose import prose
from reports.statistics.estimates import estimate
from reports.statistics.measures import CPU_ENERGY, GPU_ENERGY, Measure, is_measured
from reports.view import DatasetView, RunView
from results.schema import CellResult

NOT_READABLE, INTERRUPTED = "not readable here", "not known of cells that were interrupted"
SOURCES = {
    "counter": "the GPU's own counter (NVML)",
    "sampled power": "the GPU's power, sampled once a second and integrated (NVML; this GPU has no energy counter)",
}
TEXT = """
### Energy

{% if data.sharing %}{{ data.sharing | capital }}, and energy is that of the whole machine: there is no figure for
a single cell.
{% elif not table %}{{ names | listed }}: {{ missing }}.
{% else %}{{ table }}

Energy of the training steps only, like the training time.{% if cpu %} CPU energy covers whole packages (RAPL),
including idle cores and whatever else ran on them.{% endif %}
{%- for source in sources %} GPU energy is that of the whole GPU, from {{ source }}.{% endfor %}{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A table, or why there is none; None where the machine was not monitored."""
    monitored = [cell for cell in data.cells if cell.machine is not None]
    if not monitored:
        return None
    on_gpu = any(cell.config.device.startswith("cuda") for cell in monitored)
    measures = [CPU_ENERGY, *([GPU_ENERGY] if on_gpu else [])]
    return prose(
        TEXT,
        data=data,
        names=[measure.name for measure in measures],
        missing=_missing(monitored),
        table=_table(data, measures) if any(is_measured(data, measure) for measure in measures) else None,
        cpu=is_measured(data, CPU_ENERGY),
        sources=dict.fromkeys(SOURCES[cell.gpu_joules_source] for cell in monitored if cell.gpu_joules_source),
    )


def _table(data: DatasetView, measures: Sequence[Measure]) -> Markdown:
    rows = []
    for method in data.drawn:
        cells = data.finished[method]
        means = [measure.mean(cells) for measure in measures]
        joules = [plus_minus(mean, expected=len(cells)) if mean else _missing(cells) for mean in means]
        rows.append([code(method), str(len(cells)), *joules, *(_per_1000_images(cells, each) for each in measures)])
    headers = [measure.header for measure in measures]
    return markdown_table(["method", "seeds", *headers, *(f"{each} per 1,000 images" for each in headers)], rows)


def _per_1000_images(cells: Sequence[CellResult], measure: Measure) -> str:
    by_seed = measure.values(cells)
    mean = estimate(
        1000 * by_seed[cell.seed] / (cell.images_per_second * cell.train_seconds)
        for cell in cells
        if cell.seed in by_seed and cell.images_per_second and cell.train_seconds
    )
    return _missing(cells) if mean is None else number(mean.mean)


def _missing(cells: Sequence[CellResult]) -> str:
    return INTERRUPTED if cells and all(cell.earlier_machines for cell in cells) else NOT_READABLE
