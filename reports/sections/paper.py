"""Accuracies beside those that the paper publishes for the same method and embedding, and how the two runs differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.formats.markdown import MISSING, ONE_SEED, code, codes, listed, markdown_table, number, plus_minus
from reports.published.paper import EMBEDDINGS, AccuracyRow, Entry, paper_dataset, published, table_1_entry
from reports.statistics.estimates import Estimate, estimate
from reports.statistics.measures import TEST_ACCURACY
from reports.tables import GPU_MEMORY
from reports.view import DatasetView
from results.schema import CellResult, DataRecord


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
        return estimate(TEST_ACCURACY.values(self.cells).values())


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


def section(data: DatasetView) -> Iterator[str]:
    """The section as Markdown blocks; nothing where no method has an entry of the paper's."""
    found = comparisons(data)
    paper = published()
    quoted = _quoted(data)
    if not found:
        if any(row.here in _finished(data) for row, _ in quoted):
            yield "### Beside the paper"
            yield f"{_context(data, quoted)} ({paper.source} {paper.version})."
        return
    yield "### Beside the paper"
    yield table(data, found)
    yield (
        "*Difference* is ours minus the paper's mean: below 0 is less accurate than the paper. Ours is after the last "
        f"epoch, a mean over seeds. The paper's ({paper.source} {paper.version}, table 1; epochs: table 3) is a mean "
        "of 15 values, 3 seeds × 5 inference runs; the spread that it prints, and calls a standard error, is not the "
        f"interval shown for ours, and is left out. {_augmentation(found)} How many images it trained "
        "on is not in those tables, nor is every option: those used here are under "
        "[Options of the methods](#options-of-the-methods)."
    )
    yield "\n".join(f"- {sentence}" for sentence in differences(found))
    if quoted:
        yield f"{_context(data, quoted)}."


def _augmentation(found: Iterable[Comparison]) -> str:
    if all(cell.config.augment == "none" for each in found for cell in each.cells):
        return "No augmentation, in the paper or here."
    return "No augmentation in the paper; what was done here is under [Data](#data)."


def table(data: DatasetView, found: Iterable[Comparison]) -> str:
    """One row a method: accuracies in percent, their difference in points, and what both were trained for."""
    headers = [
        "method",
        "the paper's row",
        "seeds",
        "ours, %",
        "the paper's, %",
        "difference, points",
        "our epochs × images",
        "the paper's epochs",
    ]
    rows = []
    for each in found:
        n, planned, ours = len(each.cells), data.planned[each.method], each.ours
        gap = MISSING if ours is None else number(ours.mean - each.entry.percent, decimals=2, signed=True)
        rows.append(
            [
                code(each.method),
                f"{each.entry.row}, {EMBEDDINGS[each.entry.embedding]}",
                str(n) if n == planned else f"{n} of {planned}",
                plus_minus(ours, decimals=2, expected=n) + (ONE_SEED if ours is not None and ours.n == 1 else ""),
                number(each.entry.percent, decimals=2),
                gap,
                f"{_span(cell.config.epochs for cell in each.cells)} × {_images(each.cells)}",
                str(each.entry.epochs),
            ]
        )
    return markdown_table(headers, rows, text_columns=2)


def differences(found: Iterable[Comparison]) -> list[str]:
    """How each method was trained differently from the paper's, in one sentence; methods with the same one share it."""
    methods: dict[str, list[str]] = {}
    for each in found:
        methods.setdefault(_difference(each), []).append(each.method)
    return [f"{codes(dict.fromkeys(names))}: {sentence}" for sentence, names in methods.items()]


def _quoted(data: DatasetView) -> list[tuple[AccuracyRow, float]]:
    """The rows of table 1 that nothing here can be held against, and their percentages on this data set."""
    name = paper_dataset(data.name)
    return [
        (row, values[name])
        for row in published().accuracy
        if row.method is None
        for values in row.percent.values()
        if name in values
    ]


def _context(data: DatasetView, quoted: Sequence[tuple[AccuracyRow, float]]) -> str:
    """What these rows say, with our names of those that finished here, as a sentence without its full stop."""
    here = _finished(data)
    entries = [
        f"{row.row} {number(percent, decimals=2)}%{f' (here {code(row.here)})' if row.here in here else ''}"
        for row, percent in quoted
    ]
    return f"For methods of whose training the paper's table 3 says nothing, its table 1 has {listed(entries)}"


def _finished(data: DatasetView) -> set[str]:
    """The registry's names of the methods with a finished cell."""
    return {cell.method_name for cells in data.finished.values() for cell in cells}


def gpu_memory(data: DatasetView) -> str | None:
    """The paper's GPU memory for the methods whose own was measured; None where there is nothing to set beside it."""
    name = paper_dataset(data.name)
    rows = {row.method: row.gigabytes for row in published().gpu_memory}
    theirs = {}
    for each in comparisons(data):
        measured = any(measure.values(each.cells) for measure in GPU_MEMORY)
        if name and measured and each.entry.embedding == "onehot" and name in rows.get(each.entry.method, {}):
            theirs[each.entry.method] = f"{code(each.entry.method)} {rows[each.entry.method][name]:.2f} GB"
    if not theirs:
        return None
    return (
        f"The paper's table 2 ({published().source}) has, for the GPU memory that the process allocated, with one-hot "
        f"embeddings: {', '.join(theirs.values())}. It names neither the card nor the tool that it measured with, so "
        "which method needs more can be compared with the table above, and the figures themselves cannot."
    )


def _difference(each: Comparison) -> str:
    cells = each.cells
    epochs = {cell.config.epochs for cell in cells}
    images = [cell.data for cell in cells if cell.data is not None]
    subset = any(record.n_train < record.n_train_available for record in images)
    partial = any(record.partial for record in images)

    count = f"{_span(epochs)} {'epoch' if epochs == {1} else 'epochs'}"
    on = f"on {_images(cells, of=subset)} images"
    if partial:
        on += " of files that hold only a part of the published data set"
    other = [*_settings(each)]
    if epochs == {each.entry.epochs} and not (other or subset or partial):
        held_out = f" ({_span(record.n_val for record in images)} more are held out for validation)" if images else ""
        return (
            f"{count} {on}{held_out}: epochs, optimiser and hyperparameters are the paper's as far as table 3 has them."
        )
    same = epochs == {each.entry.epochs}
    trained = f"{count}, as the paper's, {on}" if same else f"{count} {on} against the paper's {each.entry.epochs}"
    return "; ".join([trained, *([", ".join(other)] if other else [])]) + ": not a reproduction."


def _settings(each: Comparison) -> Iterator[str]:
    """`steps 40 against 1,000` for augmentation and all that table 3 has, epochs apart, that was another here."""
    configs = [cell.config for cell in each.cells]
    shared = published().training_of_all
    training = published().training_of(each.entry.method)
    assert training is not None  # an entry has one
    settings: list[tuple[str, Any, list[Any]]] = [
        ("optimiser", training.optimizer, [config.optimizer for config in configs]),
        ("batch size", shared.batch_size, [config.batch_size for config in configs]),
        ("learning rate", shared.lr, [config.lr for config in configs]),
        ("weight decay", shared.weight_decay, [config.weight_decay for config in configs]),
        ("augmentation", "none", [config.augment for config in configs]),
    ]
    settings += [
        (name, value, [config.options[name] for config in configs if name in config.options])
        for name, value in training.options.items()
    ]
    for name, theirs, ours in settings:
        other = dict.fromkeys(value for value in ours if _plain(value).lower() != _plain(theirs).lower())
        if other:
            yield f"{name} {' or '.join(map(_plain, other))} against {_plain(theirs)}"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _images(cells: Sequence[CellResult], *, of: bool = False) -> str:
    """Training images used, and of how many if asked for."""
    records = [cell.data for cell in cells if cell.data is not None]
    if not records:
        return MISSING

    def span(count: Callable[[DataRecord], int]) -> str:
        return _span(count(record) for record in records)

    used = span(lambda record: record.n_train)
    return f"{used} of the {span(lambda record: record.n_train_available)}" if of else used


def _span(values: Iterable[int]) -> str:
    """`5`, or `5 to 7` where they differ."""
    known = list(values)
    low, high = min(known), max(known)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
