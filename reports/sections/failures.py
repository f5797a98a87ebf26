"""Failed or missing cells, each with the reason."""

from __future__ import annotations

from reports.formats.markdown import Markdown, code, markdown_table, plural
from reports.view import NOT_RUN, RunView

HEADING = "## Failed or missing cells"


def section(run: RunView) -> Markdown:
    """A row for each planned cell without a result."""
    if not run.missing:
        return f"{HEADING}\n\nnone: all {plural(len(run.record.cells), 'planned cell')} finished."
    rows = [
        [
            code(cell.dataset),
            code(cell.method),
            str(cell.seed),
            NOT_RUN if cell.reason == NOT_RUN else code(cell.reason),
        ]
        for cell in run.missing
    ]
    return f"{HEADING}\n\n{markdown_table(['data set', 'method', 'seed', 'reason'], rows, text_columns=4)}"
