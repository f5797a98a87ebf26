"""Configuration: the settings of the run, the options of each method, and what each method calls an epoch."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import Markdown, code, codes, markdown_table, setting, shown
from reports.formats.prose import prose
from reports.view import RunView
from results.scale import ScalePoint
from results.schema import CellConfig, CellResult

SETTINGS = [field for field in CellConfig.model_fields if field not in ("options", "tuning")]
TEXT = """
## Configuration

{{ settings }}

### Options of the methods

{{ options }}

{% if executions %}{{ executions }}. The choice affects what is in memory at once and how long it takes, not losses or
gradients (`together` draws other random numbers).
`in_turn`: each batch trains one block after the other. `together`: one batched computation trains all blocks and keeps
what backward needs for all of them. `low_memory`: an epoch's batches train the first block, then the second, and so on;
a block is on the device only while it is trained or used.
{%- if concurrent %} `concurrent`: as `in_turn`, several parts (blocks, members) at a time, on threads of their own, and
keeps what backward needs for these; with one thread for each the numbers are those of `in_turn` with one thread.
{%- endif %}{% endif %}

### What one epoch is

{{ epochs | bullets }}
"""


def section(run: RunView) -> Markdown:
    """The tables of settings and options, how blocks were executed, and a definition of the epoch for each method."""
    definitions: dict[str, dict[str, None]] = {}
    for cell in run.cells:
        definitions.setdefault(cell.method, {})[cell.epoch_definition or "not recorded"] = None
    return prose(
        TEXT,
        settings=settings_table(run),
        options=options_table(run),
        executions=executions(run.cells),
        concurrent=any(cell.execution == "concurrent" for cell in run.cells),
        epochs=[f"{code(method)}: {'; or: '.join(texts)}" for method, texts in definitions.items()],
    )


def settings_table(run: RunView) -> Markdown:
    """Every shared setting, a column for each data set; one that differs between its cells points to `Unmatched`."""
    datasets = [data for data in run.datasets if data.drawn]
    rows = []
    for field in SETTINGS:
        row = [field]
        for data in datasets:
            values = {getattr(cell.config, field) for cell in data.cells}
            row.append(setting(field, values.pop()) if len(values) == 1 else "see Unmatched")
        rows.append(row)
    headers = ["setting", *(code(data.name) for data in datasets)]
    return markdown_table(headers, rows, text_columns=len(headers))


def options_table(run: RunView) -> Markdown:
    """The effective options of every method; data sets with the same options share a row."""
    by_method: dict[str, dict[str, dict[str, None]]] = {}
    for data in run.datasets:
        for cell in data.cells:
            options = ", ".join(f"{name} = {shown(value)}" for name, value in cell.config.options.items())
            by_method.setdefault(cell.method, {}).setdefault(options, {})[data.name] = None
    rows = [
        [code(method), codes(datasets), code(options) if options else "no options"]
        for method, variants in by_method.items()
        for options, datasets in variants.items()
    ]
    return markdown_table(["method", "data sets", "options"], rows, text_columns=3)


def executions(those: Sequence[CellResult | ScalePoint]) -> str:
    """How each method was executed, as a sentence without its full stop; empty where no method had a choice."""
    ways: dict[str, dict[str, None]] = {}
    for each in those:
        if each.execution is not None:
            ways.setdefault(each.method, {})[each.execution] = None
    named = "; ".join(f"{code(method)}: {codes(names)}" for method, names in ways.items())
    return f"Execution: {named}" if named else ""
