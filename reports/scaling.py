"""The report of a sweep by `bench.scale`: how the cost of training grows, and how near to the ceiling it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.figures.scaling import growth_pictures
from reports.formats.html import html_page
from reports.formats.markdown import MISSING, PICTURE_FILES, code, listed, markdown_table, number, plural
from reports.sections.execution import ways_taken
from reports.statistics.growth import NAMES, axes_of, exponent, methods_of, points_of, share_of_ceiling
from reports.statistics.measures import MIB
from reports.view import moment
from results.scale import Axis, ScaleRecord, Timing, read_scale
from results.store import ResultsError, replace_file

REPORT_FILE, HTML_FILE, FIGURES = "report.md", "report.html", "figures"
HEADINGS: dict[Axis, str] = {"T": "Depth", "batch_size": "Batch", "side": "Image size", "images": "Data"}


def build_scale_report(folder: Path, *, html: bool = False) -> Path:
    """Write the report of the sweep in a folder, with its pictures and, if wanted, as a page; the report's path.

    Raises:
        ResultsError: there is no sweep there, or the folder cannot be written to.
    """
    record = read_scale(folder)
    try:
        (folder / FIGURES).mkdir(exist_ok=True)
        pictures = growth_pictures(record, folder / FIGURES)
    except OSError as error:
        raise ResultsError(f"cannot write to {folder / FIGURES}: {error.strerror or error}") from None
    blocks = [*_top(record)]
    for picture in pictures:
        blocks += [f"![{picture.alt}]({FIGURES}/{picture.file})", picture.caption]
    blocks.append(PICTURE_FILES)
    for axis in axes_of(record):
        blocks += _axis(record, axis)
    blocks += _conditions(record)
    path = folder / REPORT_FILE
    replace_file(path, ("\n\n".join(blocks) + "\n").encode())
    if html:
        replace_file(folder / HTML_FILE, html_page(path).encode())
    return path


def _top(record: ScaleRecord) -> Iterator[str]:
    yield "# How the cost of training grows"
    at = record.fixed
    yield (
        f"One training step (for *data*, one epoch of them) of {listed([code(m) for m in methods_of(record)])} on "
        f"images of random numbers with {plural(record.channels, 'channel')} and {record.num_classes} classes. One "
        f"thing is varied at a time; the others are at T = {at['T']}, batches of {at['batch_size']}, images of "
        f"{at['side']} × {at['side']} pixels and epochs of {at['images']:,} images."
    )
    if not record.complete:
        yield "**This sweep was stopped before its end**: points are missing."
    yield f"- Created: {moment(record.created_at)}\n- Code: commit `{(record.environment.commit or 'unknown')[:18]}`"
    yield f"```sh\n{record.command}\n```"
    ceiling = record.ceiling
    yield (
        f"**The ceiling**: a product of two {ceiling.size:,} × {ceiling.size:,} matrices in {ceiling.precision}, timed "
        f"in turn with the steps, ran at {number(ceiling.flops_per_second / 1e9)} GFLOP/s (median of "
        f"{plural(ceiling.seconds.rounds, 'product')}; {_milliseconds(ceiling.seconds)}). A share of it is a step's "
        "counted operations (those of convolutions and matrix products; what is computed twice counts twice) a second, "
        "over that speed."
    )


def _axis(record: ScaleRecord, axis: Axis) -> Iterator[str]:
    """One table, and the power with which the time grows."""
    rows, powers = [], []
    for method in methods_of(record):
        points = points_of(record, axis, method)
        power = exponent(points)
        if power is not None:
            powers.append(f"{code(method)} {number(power, decimals=2)}")
        for point in points:
            share = share_of_ceiling(record, point)
            rows.append(
                [
                    code(method),
                    f"{point.value:,}",
                    _milliseconds(point.seconds),
                    number(point.images / point.seconds.median),
                    MISSING if point.flops is None else number(point.flops / point.images / 1e6),
                    MISSING if share is None else f"{share:.0%}",
                    number(point.activation_bytes / MIB),
                ]
            )
    yield f"## {HEADINGS[axis]}"
    call = "epoch" if axis == "images" else "training step"
    headers = ["method", NAMES[axis], f"{call}, ms", "images/s", "MFLOP an image", "of the ceiling", "activations, MiB"]
    yield markdown_table(headers, rows)
    if powers:
        yield f"Fitted power of the {NAMES[axis]} with which the time grows over these values: {', '.join(powers)}."


def _conditions(record: ScaleRecord) -> Iterator[str]:
    yield "## How it was measured"
    rounds = sorted({point.seconds.rounds for point in record.points})
    taken = ways_taken(record.points)
    yield (
        f"Medians over {' or '.join(map(str, rounds))} rounds, in brackets the interquartile range; methods take turns "
        "within a round, another one first in each, with a matrix product before each. A step is forward and backward "
        "pass and update on a batch that is ready; an epoch cuts and normalises its batches, too. *Of the ceiling* is "
        "counted operations a second over the matrix product's. *Activations* are held for backward at the peak of one "
        "step, exactly. All rounds are of one process: nothing here says how processes, or machines, differ."
        + (f" {taken}." if taken else "")
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
