"""The report of a sweep by `bench.scale`: how the cost of training grows, and how near to the ceiling it is."""

from __future__ import annotations

from pathlib import Path

from reports.figures.figure import write_all
from reports.figures.scaling import AXIS_LABELS, FIGURES
from reports.figures.style import method_styles
from reports.formats.html import write_report
from reports.formats.markdown import (
    FIGURE_FILES,
    MISSING,
    Markdown,
    code,
    commands,
    figure,
    markdown_table,
    number,
)
from reports.formats.prose import prose
from reports.sections.configuration import executions
from reports.statistics.measures import MIB
from reports.view import REFERENCE, UNSTATED, family_of, moment
from results.scale import Axis, ScaleRecord, Timing, read_scale

HEADINGS: dict[Axis, str] = {"T": "Depth", "batch_size": "Batch", "side": "Image size", "images": "Data"}
TEXT = """
# How the cost of training grows

One training step (for *data*, one epoch of them) of {{ methods | listed }} on images of random numbers with
{{ record.channels | plural("channel") }} and {{ record.num_classes }} classes. One quantity is varied at a time; the
others stay at T = {{ at.T }}, batches of {{ at.batch_size }}, images of {{ at.side }} × {{ at.side }} pixels and epochs
of {{ "{:,}".format(at.images) }} images.

{% if not record.complete %}**This sweep was stopped before its end**: points are missing.{% endif %}

{{ facts | bullets }}

{{ command }}

**The ceiling**: a product of two {{ size }} × {{ size }} matrices in {{ ceiling.precision }}, timed alternately with
the steps, ran at {{ speed | number }} GFLOP/s (median of {{ ceiling.seconds.rounds | plural("product") }};
{{ milliseconds }} ms). A share of it is a step's counted operations per second (convolutions and matrix products;
recomputation counts again) divided by that speed.

{{ figures }}

{{ figure_files }}

{{ axes }}

## How it was measured

Medians over {{ rounds | join(" or ") }} rounds, with the interquartile range in brackets. Within a round methods take
turns, starting with a different one each time, and a matrix product precedes each. A step is forward pass, backward
pass and update on a batch that is ready; an epoch also prepares its batches. *Of the ceiling* is counted operations per
second divided by the matrix product's. *Activation memory* is what is kept for the backward pass at the peak of one
step, counted exactly. All rounds ran in one process, so nothing here shows how processes, or machines, differ.
{%- if executions %} {{ executions }}.{% endif %}

{{ environment }}
"""
AXIS_TEXT = """
## {{ heading }}

{{ table }}

{% if powers %}Fitted power with which time grows with {{ name }} over these values: {{ powers | join(", ") }}.
{%- endif %}
"""


def build_scale_report(folder: Path, *, html: bool = False) -> Path:
    """Write the report of the sweep in a folder, with its figures and, if wanted, as a page; the report's path.

    Raises:
        ResultsError: there is no sweep there, or the folder cannot be written to.
    """
    record = read_scale(folder)
    families = {method: family_of(method, UNSTATED) for method in record.methods}
    styles = method_styles(families, REFERENCE)
    drawn = write_all(FIGURES, record, folder, styles)
    ceiling = record.ceiling
    text = prose(
        TEXT,
        record=record,
        methods=[code(method) for method in record.methods],
        at=record.fixed,
        facts=[
            f"Created: {moment(record.created_at)}",
            f"Code: commit {code((record.environment.commit or 'unknown')[:18])}",
        ],
        command=commands([record.command]),
        ceiling=ceiling,
        size=f"{ceiling.size:,}",
        speed=ceiling.flops_per_second / 1e9,
        milliseconds=_milliseconds(ceiling.seconds),
        figures="\n\n".join(figure(each.alt, each.file, each.caption) for each in drawn),
        figure_files=FIGURE_FILES,
        axes="\n\n".join(_axis(record, axis) for axis in record.axes),
        rounds=sorted({point.seconds.rounds for point in record.points}),
        executions=executions(record.points),
        environment=_environment(record),
    )
    return write_report(folder, text, html=html)


def _axis(record: ScaleRecord, axis: Axis) -> Markdown:
    """One table, and the power with which the time grows."""
    rows = [
        [
            code(method),
            f"{point.value:,}",
            _milliseconds(point.seconds),
            number(point.images / point.seconds.median),
            MISSING if point.flops is None else number(point.flops / point.images / 1e6),
            MISSING if (share := record.share_of_ceiling(point)) is None else f"{share:.0%}",
            number(point.activation_bytes / MIB),
        ]
        for method in record.methods
        for point in record.points_of(axis, method)
    ]
    known = [(method, power) for method in record.methods if (power := record.growth_power(axis, method)) is not None]
    powers = [f"{code(method)} {number(power, decimals=2)}" for method, power in known]
    call = "epoch" if axis == "images" else "training step"
    headers = ["method", AXIS_LABELS[axis], f"{call}, ms", "images/s", "MFLOP per image", "of the ceiling"]
    table = markdown_table([*headers, "activation memory, MiB"], rows)
    return prose(AXIS_TEXT, heading=HEADINGS[axis], table=table, name=f"the {AXIS_LABELS[axis]}", powers=powers)


def _environment(record: ScaleRecord) -> Markdown:
    environment = record.environment
    rows = [
        ["CPU", environment.cpu],
        ["cores", str(environment.cores)],
        ["threads", str(record.threads)],
        ["device", record.device if environment.gpu is None else f"{record.device} ({environment.gpu})"],
        ["mixed precision", "yes" if record.amp else "no"],
        ["platform", environment.platform],
        ["PyTorch", environment.torch],
    ]
    return markdown_table(["", "value"], rows, text_columns=2)


def _milliseconds(timing: Timing) -> str:
    return f"{number(timing.median * 1e3)} ({number(timing.iqr * 1e3, 2)})"
