"""Environment: machine, software and commit of the cells, and what peak memory means there."""

from __future__ import annotations

from collections import Counter

from reports.formats.markdown import MISSING, Markdown, code, markdown_table, plural
from reports.formats.prose import prose
from reports.view import RunView
from results.schema import Environment
from results.sharing import placed

PEAK_MEMORY = {
    "high-water mark, reset": (
        "the system's high-water mark of the process, reset just before the model was built: the peak of building, "
        "training and evaluating the model"
    ),
    "high-water mark of the process's life": (
        "the system's high-water mark of the process, which could not be reset here: the peak since the process "
        "started. If importing libraries or loading data peaked higher than training, this is their peak, and the peak "
        "memory increase says nothing about the method"
    ),
}
TEXT = """
## Environment

{% if environments > 1 %}The cells ran in {{ environments }} different environments. Lines with several values differ;
times and memory are then not compared on equal terms.{% endif %}

{% if nodes %}{{ placed | capital }}: {{ nodes | listed }}.{% endif %}

{{ table }}

{% if peak %}Peak memory is {{ peak | join("; in other cells, ") }}.{% endif %}
"""


def section(run: RunView) -> Markdown:
    """A row for each field; values that differ with the number of their cells."""
    environments = Counter(cell.environment for cell in run.cells)
    nodes = Counter(cell.node for cell in run.cells if cell.launcher != "local" and cell.node is not None)
    rows = []
    for field in Environment.model_fields:
        values: Counter[str] = Counter()
        for environment, cells in environments.items():
            value = getattr(environment, field)
            text = MISSING if value is None else f"{value / 2**30:.1f} GiB" if field == "memory_bytes" else str(value)
            values[text] += cells
        if field in ("layers", "instructions", "bfloat16", "package") and set(values) == {MISSING}:
            continue  # rows from before it; there is a commit, which says more
        shown = [text if len(values) == 1 else f"{text} ({plural(cells, 'cell')})" for text, cells in values.items()]
        rows.append([field.removesuffix("_bytes"), "; ".join(shown)])
    return prose(
        TEXT,
        environments=len(environments),
        placed=placed(run.cells),
        nodes=[f"{code(node)} ({plural(count, 'cell')})" for node, count in nodes.items()],
        table=markdown_table(["", "value"], rows, text_columns=2),
        peak=list(dict.fromkeys(PEAK_MEMORY[cell.rss_source] for cell in run.cells if cell.rss_source is not None)),
    )
