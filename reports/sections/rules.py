"""Beside the rules' sources: accuracies of `network=mlp` next to what the sources reached with the same network."""

from __future__ import annotations

from reports.formats.markdown import MISSING, Markdown, code, markdown_table, number, plus_minus, span
from reports.formats.prose import prose
from reports.published.paper import paper_dataset, source_figure
from reports.statistics.measures import TEST_ACCURACY
from reports.view import DatasetView, RunView

TEXT = """
### Beside the sources of the rules

{{ table }}

With `network=mlp` a rule trains the fully connected network of its source, and `backprop-plain` the same one end to
end. *Difference* is ours minus the source's. Ours is the mean over seeds, after the last epoch; optimiser, learning
rate, batches and augmentation are this run's, not the source's, and where the epochs differ, the difference is that of
the budgets, too.
"""
HEADERS = ["method", "source", "its network", "seeds", "ours, %", "the source's, %", "difference, points"]
HEADERS += ["our epochs", "the source's epochs"]


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """One row a method; None where no source has a figure for the network of any."""
    rows = []
    name = paper_dataset(data.name)
    for method, cells in data.finished.items():
        figure = source_figure(cells[0].method_name, cells[0].config.options) if cells else None
        if figure is None or name is None:
            continue
        theirs = (figure.percent if figure.method == cells[0].method_name else figure.backprop).get(name)
        ours = TEST_ACCURACY.mean(cells)
        gap = None if ours is None or theirs is None else ours.mean - theirs
        rows.append(
            [
                *(code(method), figure.source, figure.network, str(len(cells)), plus_minus(ours, decimals=2)),
                MISSING if theirs is None else number(theirs, decimals=2),
                MISSING if gap is None else number(gap, decimals=2, signed=True),
                span(cell.config.epochs for cell in cells),
                MISSING if figure.epochs is None or theirs is None else str(figure.epochs),
            ]
        )
    return prose(TEXT, table=markdown_table(HEADERS, rows, text_columns=3)) if rows else None
