"""Accuracy by class, where there are few classes."""

from __future__ import annotations

import statistics

from reports.formats.markdown import Markdown, code, markdown_table, number
from reports.formats.prose import prose
from reports.view import DatasetView, RunView

MAX_CLASSES = 10
TEXT = """
### Accuracy by class

{{ table }}

Test accuracy on each class's images after the last epoch, in percent: means over seeds.
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A row for each method; None where there are many classes, or nothing was recorded."""
    known = {
        method: by_seed
        for method, cells in data.finished.items()
        if (by_seed := [cell.test_class_accuracies for cell in cells if cell.test_class_accuracies])
    }
    counts = {len(each) for by_seed in known.values() for each in by_seed}
    if len(counts) != 1 or max(counts) > MAX_CLASSES:
        return None
    names = next((cell.data.class_names for cell in data.cells if cell.data and cell.data.class_names), None)
    rows = [
        [code(method), *(number(100 * statistics.fmean(each), decimals=1) for each in zip(*by_seed, strict=True))]
        for method, by_seed in known.items()
    ]
    return prose(TEXT, table=markdown_table(["method", *(names or map(str, range(max(counts))))], rows))
