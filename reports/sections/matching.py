"""Whether the methods of a run were compared on equal terms: every setting that was not the same for all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reports.formats.markdown import MISSING, code, codes, markdown_table, number
from reports.sections.hyperparameters import how_found
from reports.view import DatasetView, RunView
from results.schema import CellConfig

SETTINGS = [field for field in CellConfig.model_fields if field not in ("options", "tuning")]
FINGERPRINT_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that differs between the cells of one data set."""

    dataset: str
    what: str
    values: dict[str, list[str]]
    """Each value, as text, and the methods that had it."""


def mismatches(view: RunView) -> list[Mismatch]:
    """Settings, same-named options, data and parameter counts that differ within a data set."""
    return [found for data in view.datasets for found in _in_dataset(data)]


def unmatched_table(found: Iterable[Mismatch]) -> str:
    """The mismatches as a table, data sets with the same one in one row; `none` where there are none."""
    merged: dict[tuple[str, str], list[str]] = {}
    for mismatch in found:
        values = "; ".join(f"{value}: {codes(methods)}" for value, methods in mismatch.values.items())
        merged.setdefault((mismatch.what, values), []).append(mismatch.dataset)
    if not merged:
        return "none"
    rows = [[codes(datasets), what, values] for (what, values), datasets in merged.items()]
    return markdown_table(["data sets", "what differs", "value: methods"], rows, text_columns=3)


def settings_table(view: RunView) -> str:
    """Every shared setting, a column for each data set; one that differs between cells points to `Unmatched`."""
    datasets = [data for data in view.datasets if data.drawn]
    rows = []
    for field in SETTINGS:
        row = [field]
        for data in datasets:
            values = {getattr(cell.config, field) for cell in data.cells}
            row.append(_setting(field, values.pop()) if len(values) == 1 else "see Unmatched")
        rows.append(row)
    return markdown_table(["setting", *(code(data.name) for data in datasets)], rows, text_columns=1 + len(datasets))


def options_table(view: RunView) -> str:
    """The effective options of every method; data sets with the same options share a row."""
    by_method: dict[str, dict[str, list[str]]] = {}
    for data in view.datasets:
        for cell in data.cells:
            options = ", ".join(f"{name} = {shown(value)}" for name, value in cell.config.options.items())
            datasets = by_method.setdefault(cell.method, {}).setdefault(options, [])
            if data.name not in datasets:
                datasets.append(data.name)
    rows = [
        [code(method), codes(datasets), code(options) if options else "no options"]
        for method, variants in by_method.items()
        for options, datasets in variants.items()
    ]
    return markdown_table(["method", "data sets", "options"], rows, text_columns=3)


def _in_dataset(data: DatasetView) -> Iterator[Mismatch]:
    cells = list(data.cells)
    for field in SETTINGS:
        # A run of thousands of cells has a handful of different settings: only those are put into words.
        used = dict.fromkeys((cell.method, getattr(cell.config, field)) for cell in cells)
        yield from _differing(data.name, field, ((method, _setting(field, value)) for method, value in used))
    found = dict.fromkeys((cell.method, how_found(cell.config.tuning)) for cell in cells)
    yield from _differing(data.name, "how hyperparameters were found", found)
    for name in dict.fromkeys(name for cell in cells for name in cell.config.options):
        options = ((cell.method, cell.config.options) for cell in cells if name in cell.config.options)
        yield from _differing(data.name, f"option {name}", ((method, shown(o[name])) for method, o in options))
    prints = ((cell.method, cell.data.fingerprint) for cell in cells if cell.data is not None)
    yield from _differing(data.name, "data (fingerprint)", ((m, text[:FINGERPRINT_DIGITS]) for m, text in prints))
    for what, field in (("parameters", "parameters"), ("parameters in the matched blocks", "stack_parameters")):
        counts = dict.fromkeys((cell.method, getattr(cell, field)) for cell in cells)
        yield from _differing(data.name, what, ((m, MISSING if n is None else number(n)) for m, n in counts))


def _differing(dataset: str, what: str, found: Iterable[tuple[str, str]]) -> Iterator[Mismatch]:
    """One mismatch if the (method, value) pairs hold more than one value, else nothing."""
    values: dict[str, dict[str, None]] = {}
    for method, value in found:
        values.setdefault(value, {})[method] = None
    if len(values) > 1:
        yield Mismatch(dataset, what, {value: list(methods) for value, methods in values.items()})


def _setting(field: str, value: Any) -> str:
    return "all" if field == "train_size" and value is None else shown(value)


def shown(value: Any) -> str:
    """A setting's value as text: words bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
