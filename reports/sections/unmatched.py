"""Unmatched: every setting that was not the same for all cells of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from reports.formats.markdown import (
    FINGERPRINT_DIGITS,
    MISSING,
    Markdown,
    code,
    codes,
    few,
    markdown_table,
    number,
    setting,
    shown,
)
from reports.formats.prose import prose
from reports.formats.verdicts import MAX_NAMED
from reports.sections.configuration import SETTINGS
from reports.sections.hyperparameters import how_found
from reports.view import DatasetView, RunView

MATCHED = {
    "data": ("data (fingerprint)", "train_size", "split_seed"),
    "epochs": ("epochs",),
    "batches": ("batch_size",),
    "optimiser": ("optimizer",),
    "learning rate": ("lr",),
}
"""What a comparison that is fair has in common, and the mismatches that would say otherwise."""
_LARGER = 1.5
"""A network with so many times the parameters of another is said to be larger."""
FAIRNESS = """
All methods had the same {{ shared | listed }}{% if apart %}, but not the same {{ apart | listed }}{% endif %};
{%- if tuned and plain %} a search tuned {{ tuned | codes }}, and nothing was tuned for the others
{%- elif tuned %} a search tuned each of them
{%- elif apart %} no search tuned any of them
{%- else %} nothing was tuned for any of them{% endif %}; what differed is listed under
[Unmatched](details.md#unmatched).
{%- if sizes %} Their networks have from {{ sizes[0] }} to {{ sizes[-1] }}, so times and memory compare
networks as well as rules.{% endif %}
"""
TEXT = """
### Unmatched

Everything that was not the same for all cells of a data set: settings, options that share a name, the data itself, and
the number of parameters.

{{ table }}
"""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that differs between the cells of one data set."""

    dataset: str
    what: str
    values: dict[str, list[str]]
    """Each value, as text, and the methods that had it."""


def section(run: RunView) -> Markdown:
    """What the methods did not share, as a table."""
    return prose(TEXT, table=unmatched_table(mismatches(run)))


def fairness(run: RunView, data: DatasetView) -> Markdown:
    """What the methods of a data set had in common and what was tuned, in short; empty where there is one alone."""
    if len(data.drawn) < 2:
        return ""
    differing = {found.what for found in mismatches(run) if found.dataset == data.name}
    if any(cell.data is None for cell in data.cells):
        differing.add("data (fingerprint)")
    shared = [name for name, whats in MATCHED.items() if differing.isdisjoint(whats)]
    tuned = [method for method in data.drawn if any(cell.config.tuning for cell in data.finished[method])]
    return prose(
        FAIRNESS,
        shared=shared or ["settings but those under Unmatched"],
        apart=[name for name in MATCHED if name not in shared],
        tuned=tuned,
        plain=len(tuned) < len(data.drawn),
        sizes=_sizes(data),
    )


def _sizes(data: DatasetView) -> list[str]:
    """The smallest and the largest number of parameters, with methods that have it; empty where all are about alike."""
    sizes = {cell.method: cell.parameters for cell in data.cells if cell.parameters is not None}
    ends = [min(sizes.values(), default=0), max(sizes.values(), default=0)]
    if ends[1] <= _LARGER * ends[0]:
        return []
    methods = [few([code(m) for m in data.drawn if sizes.get(m) == end], MAX_NAMED) for end in ends]
    return [f"{number(end)} parameters ({named})" for end, named in zip(ends, methods, strict=True)]


def unmatched_table(found: Iterable[Mismatch]) -> Markdown:
    """The mismatches, data sets with the same one in one row; `none` where there are none."""
    merged: dict[tuple[str, str], list[str]] = {}
    for mismatch in found:
        values = "; ".join(f"{value}: {codes(methods)}" for value, methods in mismatch.values.items())
        merged.setdefault((mismatch.what, values), []).append(mismatch.dataset)
    rows = [[codes(datasets), what, values] for (what, values), datasets in merged.items()]
    headers = ["data sets", "what differs", "value: methods"]
    return markdown_table(headers, rows, text_columns=3) if rows else "none"


@lru_cache(maxsize=1)
def mismatches(run: RunView) -> list[Mismatch]:
    """Settings, same-named options, data and parameter counts that differ within a data set."""
    return [found for data in run.datasets for found in _in_dataset(data)]


def _in_dataset(data: DatasetView) -> Iterator[Mismatch]:
    cells = data.cells
    for field in SETTINGS:
        # A run of thousands of cells has a handful of different settings: only those are put into words.
        used = dict.fromkeys((cell.method, getattr(cell.config, field)) for cell in cells)
        yield from _differing(data.name, field, ((method, setting(field, value)) for method, value in used))
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
    """One mismatch if the (method, value) pairs have more than one value, else nothing."""
    values: dict[str, dict[str, None]] = {}
    for method, value in found:
        values.setdefault(value, {})[method] = None
    if len(values) > 1:
        yield Mismatch(dataset, what, {value: list(methods) for value, methods in values.items()})
