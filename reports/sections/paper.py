"""Beside the paper: accuracies next to those that it publishes for the same method and embedding, and what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.formats.markdown import MISSING, ONE_SEED, Markdown, code, codes, markdown_table, number, plus_minus, span
from reports.formats.prose import prose
from reports.published.paper import EMBEDDINGS, Entry, paper_dataset, published, table_1_entry
from reports.statistics.estimates import Estimate
from reports.statistics.measures import GPU_MEMORY, TEST_ACCURACY
from reports.view import DatasetView, RunView
from results.schema import CellResult

TEXT = """
{% if quoted or table %}### Beside the paper{% endif %}

{{ table }}

{% if table %}*Difference* is ours minus the paper's mean: below 0 is less accurate than the paper. Our accuracy is
measured after the last epoch, as a mean over seeds. The paper's ({{ source }}, table 1; epochs: table 3) is a mean of
15 values, 3 seeds × 5 inference runs; the spread that it prints, and calls a standard error, is not comparable with our
interval and is left out. {% if augmented %}No augmentation in the paper; what was done here is under [Data](#data).
{%- else %}No augmentation, in the paper or here.{% endif %} Those tables do not give the number of training images, nor
every option; ours are under [Options of the methods](#options-of-the-methods).

{{ differences | bullets }}{% endif %}

{% if quoted %}The paper's table 1 also quotes methods whose training its table 3 does not describe:
{{ quoted | listed }}{% if not table %} ({{ source }}){% endif %}.{% endif %}
"""
GPU_TEXT = """
GPU memory allocated by the process with one-hot embeddings, in the paper's table 2 ({{ source }}):
{{ theirs | join(", ") }}. The paper names neither the GPU nor the tool, so compare only which method needs more, not
the figures themselves.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A method's finished cells and the entry of table 1 that they stand beside."""

    method: str
    """As the user named it."""
    entry: Entry
    cells: list[CellResult]

    @property
    def ours(self) -> Estimate | None:
        """Test accuracy in percent over the cells' seeds."""
        return TEST_ACCURACY.mean(self.cells)


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The table and how the two trainings differ; None where table 1 has nothing for any method of the data set."""
    found, quoted = comparisons(data), _quoted(data)
    if not found and not any("(here" in text for text in quoted):
        return None
    return prose(
        TEXT,
        table=table(data, found) if found else "",
        source=f"{published().source} {published().version}",
        augmented=any(cell.config.augment != "none" for each in found for cell in each.cells),
        differences=differences(found),
        quoted=quoted,
    )


def comparisons(data: DatasetView) -> list[Comparison]:
    """Every method of a data set beside its entry of table 1; empty where there is none."""
    found = []
    for method, cells in data.finished.items():
        entries: dict[Entry, list[CellResult]] = {}
        for cell in cells:
            if entry := table_1_entry(data.name, cell.method_name, cell.config):
                entries.setdefault(entry, []).append(cell)
        found += [Comparison(method, entry, group) for entry, group in entries.items()]
    return found


def table(data: DatasetView, found: Iterable[Comparison]) -> Markdown:
    """One row a method: accuracies in percent, their difference in points, and what both were trained for."""
    rows = []
    for each in found:
        n, planned, ours, entry = len(each.cells), data.planned[each.method], each.ours, each.entry
        rows.append(
            [
                code(each.method),
                f"{entry.row}, {EMBEDDINGS[entry.embedding]}",
                str(n) if n == planned else f"{n} of {planned}",
                plus_minus(ours, decimals=2, expected=n) + (ONE_SEED if ours is not None and ours.n == 1 else ""),
                number(entry.percent, decimals=2),
                MISSING if ours is None else number(ours.mean - entry.percent, decimals=2, signed=True),
                f"{span(cell.config.epochs for cell in each.cells)} × {_images(each.cells)}",
                str(entry.epochs),
            ]
        )
    headers = ["method", "the paper's row", "seeds", "ours, %", "the paper's, %", "difference, points"]
    return markdown_table([*headers, "our epochs × images", "the paper's epochs"], rows, text_columns=2)


def differences(found: Iterable[Comparison]) -> list[str]:
    """How each method was trained differently from the paper's, in one sentence; methods with the same one share it."""
    methods: dict[str, list[str]] = {}
    for each in found:
        methods.setdefault(_difference(each), []).append(each.method)
    return [f"{codes(dict.fromkeys(names))}: {sentence}" for sentence, names in methods.items()]


def gpu_memory(data: DatasetView) -> Markdown | None:
    """The paper's GPU memory for the methods whose own was measured; None where there is nothing to set beside it."""
    name = paper_dataset(data.name)
    rows = {row.method: row.gigabytes for row in published().gpu_memory}
    theirs = {}
    for each in comparisons(data):
        measured = any(measure.values(each.cells) for measure in GPU_MEMORY)
        if name and measured and each.entry.embedding == "onehot" and name in rows.get(each.entry.method, {}):
            theirs[each.entry.method] = f"{code(each.entry.method)} {rows[each.entry.method][name]:.2f} GB"
    return prose(GPU_TEXT, source=published().source, theirs=theirs.values()) if theirs else None


def _quoted(data: DatasetView) -> list[str]:
    """The rows of table 1 that nothing here can be compared with, and our names of those that finished here."""
    name, here = paper_dataset(data.name), {cell.method_name for cell in data.cells}
    return [
        f"{row.row} {number(values[name], decimals=2)}%{f' (here {code(row.here)})' if row.here in here else ''}"
        for row in published().accuracy
        if row.method is None
        for values in row.percent.values()
        if name in values
    ]


def _difference(each: Comparison) -> str:
    epochs = {cell.config.epochs for cell in each.cells}
    images = [cell.data for cell in each.cells if cell.data is not None]
    subset = any(record.n_train < record.n_train_available for record in images)
    partial = any(record.partial for record in images)
    trained = f"{span(epochs)} {'epoch' if epochs == {1} else 'epochs'}"
    on = f"on {_images(each.cells, of=subset)} images"
    if partial:
        on += " of files that contain only part of the published data set"
    other = ", ".join(_settings(each))
    same = epochs == {each.entry.epochs}
    if same and not (other or subset or partial):
        held_out = f" ({span(record.n_val for record in images)} more are held out for validation)" if images else ""
        return f"{trained} {on}{held_out}: epochs, optimiser and hyperparameters are those of the paper's table 3."
    compared = f"{trained}, as in the paper, {on}" if same else f"{trained} instead of {each.entry.epochs}, {on}"
    return f"{compared}{'; ' if other else ''}{other}: not a reproduction."


def _settings(each: Comparison) -> Iterator[str]:
    """`steps 40 instead of 1,000` for whatever differs from the paper's training but the epochs."""
    configs = [cell.config for cell in each.cells]
    shared, training = published().training_of_all, published().training_of(each.entry.method)
    assert training is not None  # an entry has one
    settings: list[tuple[str, Any, list[Any]]] = [
        ("optimiser", training.optimizer, [config.optimizer for config in configs]),
        ("batch size", shared.batch_size, [config.batch_size for config in configs]),
        ("learning rate", shared.lr, [config.lr for config in configs]),
        ("weight decay", shared.weight_decay, [config.weight_decay for config in configs]),
        ("learning-rate schedule", "constant", [config.lr_schedule for config in configs]),
        ("precision", "float32", ["bfloat16" if config.amp else "float32" for config in configs]),
        ("gradient clipping", "none", [config.clip or "none" for config in configs]),
        ("weight averaging", "none", [config.ema or "none" for config in configs]),
        ("augmentation", "none", [config.augment for config in configs]),
    ]
    for name, value in training.options.items():
        settings.append((name, value, [config.options[name] for config in configs if name in config.options]))
    for name, theirs, ours in settings:
        other = dict.fromkeys(value for value in ours if _plain(value).lower() != _plain(theirs).lower())
        if other:
            yield f"{name} {' or '.join(map(_plain, other))} instead of {_plain(theirs)}"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _images(cells: Sequence[CellResult], *, of: bool = False) -> str:
    """Training images used, and of how many if asked for."""
    records = [cell.data for cell in cells if cell.data is not None]
    if not records:
        return MISSING
    used = span(record.n_train for record in records)
    return f"{used} of the {span(record.n_train_available for record in records)}" if of else used
