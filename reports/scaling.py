"""The report of a sweep by `bench.scale`: how the cost of training grows, and how near it is to the ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.figures.scaling import AXIS_LABELS, FIGURES
from reports.figures.style import method_styles
from reports.formats.html import html_page
from reports.formats.markdown import MISSING, PICTURE_FILES, code, listed, markdown_table, number, plural
from reports.sections.execution import ways_taken
from reports.statistics.measures import MIB
from reports.view import moment
from results.scale import Axis, ScaleRecord, Timing, read_scale
from results.store import ResultsError, replace_file

REPORT_FILE, HTML_FILE, FIGURES_FOLDER = "report.md", "report.html", "figures"
HEADINGS: dict[Axis, str] = {"T": "Depth", "batch_size": "Batch", "side": "Image size", "images": "Data"}


def build_scale_report(folder: Path, *, html: bool = False) -> Path:
    """Write the report of the sweep in a folder, with its figures and optionally as HTML, and return its path.

    Raises:
        ResultsError: there is no sweep there, or the folder cannot be written to.
    """
    record = read_scale(folder)
    styles = method_styles(record.methods)
    try:
        (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
        written = [figure.write(record, folder / FIGURES_FOLDER, styles) for figure in FIGURES]
    except OSError as error:
        raise ResultsError(f"cannot write to {folder / FIGURES_FOLDER}: {error.strerror or error}") from None
    blocks = [*_top(record)]
    for file in written:
        if file is not None:
            blocks += [f"![{file.alt}]({FIGURES_FOLDER}/{file.file})", file.caption]
    blocks.append(PICTURE_FILES)
    for axis in record.axes:
        blocks += _axis(record, axis)
    blocks += _conditions(record)
    path = folder / REPORT_FILE
    replace_file(path, ("\n\n".join(blocks) + "\n").encode())
    if html:
        replace_file(folder / HTML_FILE, html_page(path).encode())
    return path


def _top(record: ScaleRecord) -> Iterator[str]:
    at, ceiling = record.fixed, record.ceiling
    yield "# How the cost of training grows"
    yield (
        f"One training step (for *data*: one epoch) of {listed([code(method) for method in record.methods])} on random "
        f"images with {plural(record.channels, 'channel')} and {record.num_classes} classes. One thing is varied at a "
        f"time; the others stay at T = {at['T']}, batches of {at['batch_size']}, images of {at['side']} × {at['side']} "
        f"pixels and epochs of {at['images']:,} images."
    )
    if not record.complete:
        yield "**This sweep was stopped before its end**: points are missing."
    yield f"- Created: {moment(record.created_at)}\n- Code: commit `{(record.environment.commit or 'unknown')[:18]}`"
    yield f"```sh\n{record.command}\n```"
    yield (
        f"**The ceiling**: a product of two {ceiling.size:,} × {ceiling.size:,} matrices in {ceiling.precision}, timed "
        f"in turn with the steps, ran at {number(ceiling.flops_per_second / 1e9)} GFLOP/s (median of "
        f"{plural(ceiling.seconds.rounds, 'product')}; {_milliseconds(ceiling.seconds)} ms). The share of the ceiling "
        "is the speed of a step's counted operations (those of convolutions and matrix products; recomputation counts "
        "again) over that speed."
    )


def _axis(record: ScaleRecord, axis: Axis) -> Iterator[str]:
    """One table, and the power with which the time grows."""
    yield f"## {HEADINGS[axis]}"
    call = "epoch" if axis == "images" else "training step"
    headers = ["method", AXIS_LABELS[axis], f"{call}, ms", "images/s", "MFLOP per image", "of the ceiling"]
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
    yield markdown_table([*headers, "activations, MiB"], rows)
    powers = {code(method): record.growth_power(axis, method) for method in record.methods}
    known = [f"{method} {number(power, decimals=2)}" for method, power in powers.items() if power is not None]
    if known:
        yield f"Fitted power with which the time grows over these values: {', '.join(known)}."


def _conditions(record: ScaleRecord) -> Iterator[str]:
    rounds = sorted({point.seconds.rounds for point in record.points})
    taken = ways_taken(record.points)
    yield "## How it was measured"
    yield (
        f"Medians over {' or '.join(map(str, rounds))} rounds, interquartile ranges in brackets. Methods take turns "
        "within a round, each round starts with another method, and a matrix product runs before each. A step is "
        "forward pass, backward pass and update on a prepared batch; an epoch also cuts and normalises its batches. "
        "*Of the ceiling*: counted operations per second over the matrix product's. *Activations*: held for backward "
        "at the peak of one step, counted exactly. All rounds ran in one process, so nothing here says how processes "
        "or machines differ." + (f" {taken}." if taken else "")
    )
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
    yield markdown_table(["", "value"], rows, text_columns=2)


def _milliseconds(timing: Timing) -> str:
    return f"{number(timing.median * 1e3)} ({number(timing.iqr * 1e3, 2)})"
