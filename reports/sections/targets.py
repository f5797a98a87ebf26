"""Reaching a validation accuracy: the training time, images and floating-point operations that it took."""

from __future__ import annotations

import math
from collections.abc import Callable

from reports.formats.markdown import MISSING, Markdown, code, markdown_table, number
from reports.formats.prose import prose
from reports.statistics.estimates import median_with_misses
from reports.view import DatasetView, RunView
from results.schema import CellResult

TEXT = """
### Reaching a validation accuracy

{% if not tables %}{% if lowest is none %}No targets were recorded.
{%- else %}No method reached {{ lowest }}% validation accuracy, the lowest of the targets.{% endif %}
{% else %}What training took until the validation accuracy first reached the target: the median over seeds, with the
number of seeds that reached it. A seed that did not reach it counts as infinite, so ∞ means that at least half of the
seeds did not, and {{ missing }} that none did. Accuracy is checked
{% if every == 1 %}once per epoch, so these are figures of whole epochs
{%- else %}every {{ every }} epochs (`--eval-every`), so these figures are late by up to
{{ (every - 1) | plural("epoch") }}{% endif %}; evaluation is not included.

{{ tables }}

{% if flops %}FLOPs are the images times the training FLOPs per image, as in the table of work above.{% endif %}
{% endif %}
"""


Spent = dict[str, float | None]
"""What was spent by target, None where it was not reached; empty for a cell that did not record it."""


def _flops_to(cell: CellResult) -> Spent:
    each = cell.train_flops_per_image
    return {} if each is None else {target: images and images * each for target, images in cell.images_to.items()}


EFFORTS: dict[str, Callable[[CellResult], Spent]] = {
    "Training seconds": lambda cell: dict(cell.seconds_to),
    "Training images, each pass counted": lambda cell: dict(cell.images_to),
    "Training FLOPs": _flops_to,
}
UNITS = {"PFLOP": 1e15, "TFLOP": 1e12, "GFLOP": 1e9}
"""Of FLOPs: the largest that leaves the largest figure above 1 is used."""


def section(run: RunView, data: DatasetView) -> Markdown:
    """A table for each effort and how to read them."""
    targets = {100 * float(target) for cell in data.cells for target in cell.seconds_to}
    return prose(
        TEXT,
        tables="\n\n".join(found for effort in EFFORTS if (found := table(data, effort))),
        lowest=f"{min(targets):g}" if targets else None,
        missing=MISSING,
        every=max(cell.config.eval_every for cell in data.cells),
        flops=any(_flops_to(cell) for cell in data.cells),
    )


def table(data: DatasetView, effort: str) -> Markdown | None:
    """The median over seeds for each validation accuracy; None where no method reached any of them."""
    spent = {method: [EFFORTS[effort](cell) for cell in data.finished[method]] for method in data.drawn}
    targets = sorted({target for cells in spent.values() for cell in cells for target in cell}, key=float)
    known = [value for cells in spent.values() for cell in cells for value in cell.values() if value is not None]
    if not known:
        return None
    unit, scale = "", 1.0
    if EFFORTS[effort] is _flops_to:
        unit, scale = next((each for each in UNITS.items() if max(known) >= each[1]), ("FLOP", 1.0))
    rows = []
    for method, cells in spent.items():
        row = [code(method)]
        for target in targets:
            values = [cell[target] for cell in cells if target in cell]
            reached = sum(value is not None for value in values)
            median = median_with_misses(values) / scale if reached else math.inf
            shown = number(median) if math.isfinite(median) else "∞"
            row.append(f"{shown} ({reached} of {len(values)})" if reached else MISSING)
        rows.append(row)
    headers = ["method", *(f"{float(target) * 100:g}%" for target in targets)]
    return f"{effort}{unit and f', {unit}'}:\n\n{markdown_table(headers, rows)}"
