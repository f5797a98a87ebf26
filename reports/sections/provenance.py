"""The sections on how the figures came about: what failed, the settings, the data and the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from reports.formats.markdown import MISSING, capital, code, listed, markdown_table, plural
from reports.sections import augmentation, hyperparameters, matching
from reports.sections.execution import ways_taken
from reports.view import RunView
from results.schema import CellResult, DataRecord, Environment
from results.sharing import placed

VERIFIED = {
    True: "match the published checksums",
    False: "do NOT match the published checksums",
    None: "none published",
}
RSS_MEANING = {
    "high-water mark, reset": (
        "the system's high-water mark of the process, reset just before the model was built, so that it is the peak "
        "of building, training and evaluating the model"
    ),
    "high-water mark of the process's life": (
        "the system's high-water mark of the process, which could not be reset here: it is the peak since the process "
        "started. If importing libraries or loading data peaked higher than training, the peak is theirs, and the "
        "rise over baseline says nothing about the method"
    ),
}


def sections(view: RunView, unmatched: Sequence[matching.Mismatch]) -> list[str]:
    """Failed cells, configuration, data and environment, as Markdown blocks."""
    return [*_missing(view), *_configuration(view, unmatched), *_data(view), *_environment(view)]


def _missing(view: RunView) -> Iterator[str]:
    yield "## Failed or missing cells"
    if not view.missing:
        yield f"none: all {plural(len(view.record.cells), 'planned cell')} finished."
        return
    rows = [
        [
            code(cell.dataset),
            code(cell.method),
            str(cell.seed),
            cell.reason if cell.reason == "not run" else code(cell.reason),
        ]
        for cell in view.missing
    ]
    yield markdown_table(["data set", "method", "seed", "reason"], rows, text_columns=4)


def _configuration(view: RunView, unmatched: Sequence[matching.Mismatch]) -> Iterator[str]:
    yield "## Configuration"
    yield matching.settings_table(view)
    yield from hyperparameters.section(view)
    yield "### Options of the methods"
    yield matching.options_table(view)
    yield from _executions(view)
    yield "### What one epoch is"
    definitions: dict[str, dict[str, None]] = {}
    for cell in view.cells:
        definitions.setdefault(cell.method, {})[cell.epoch_definition or "not recorded"] = None
    yield "\n".join(f"- {code(method)}: {'; or: '.join(texts)}" for method, texts in definitions.items())
    yield "### Unmatched"
    yield (
        "Everything that was not the same for all cells of a data set: settings, options that share a name, the data "
        "itself, and the number of parameters."
    )
    yield matching.unmatched_table(unmatched)


def _executions(view: RunView) -> Iterator[str]:
    """Which of several ways to compute the same each method took, where it had a choice."""
    if taken := ways_taken(view.cells):
        yield (
            f"{taken}. They change what is held at once and how long it takes, not "
            "losses or gradients (`together` draws other random numbers). Methods without a choice compute one block "
            "after the other. `in_turn`: each batch trains one block after the other. `together`: one batched "
            "computation trains all blocks, and holds what backward needs for all of them. `low_memory`: an epoch's "
            "batches train the first block, then the second, and so on; only one block is on the "
            "device while it is trained or used."
        )


def _data(view: RunView) -> Iterator[str]:
    yield "## Data"
    columns: dict[str, DataRecord] = {}
    for data in view.datasets:
        records = {cell.data.fingerprint: cell.data for cell in data.cells if cell.data is not None}
        for index, record in enumerate(records.values(), start=1):
            columns[code(data.name) if len(records) == 1 else f"{code(data.name)}, form {index}"] = record
    if not columns:
        yield "No data were recorded."
        return
    lines: dict[str, Callable[[DataRecord], str]] = {
        "source": lambda record: record.source,
        "checksums": lambda record: VERIFIED[record.verified],
        "of the published set": lambda record: "a part" if record.partial else "all",
        "shape": lambda record: " × ".join(map(str, record.shape)),
        "classes": lambda record: str(record.num_classes),
        "training images": lambda record: f"{record.n_train:,} of {record.n_train_available:,}",
        "validation images": lambda record: f"{record.n_val:,}",
        "test images": lambda record: f"{record.n_test:,}",
        "mean": lambda record: _floats(record.mean),
        "SD": lambda record: _floats(record.std),
        "fingerprint": lambda record: code(record.fingerprint[: matching.FINGERPRINT_DIGITS]),
    }
    augmented = any(record.augmentation for record in columns.values())
    if augmented:
        lines["augmentation"] = lambda record: augmentation.in_words(record.augmentation)
    rows = [[name, *(value(record) for record in columns.values())] for name, value in lines.items()]
    yield markdown_table(["", *columns], rows, text_columns=1 + len(columns))
    yield (
        "*Shape* is channels × height × width. *Training images* are those used, of those there were once the "
        "validation part had been held out. Images are normalised channel by channel with the *mean* and *SD* of the "
        "training part, in [0, 1] units. *Fingerprint* begins the SHA-256 of all tensors as used: equal fingerprints "
        "are equal data in equal order."
    )
    if augmented:
        yield augmentation.EXPLANATION


def _environment(view: RunView) -> Iterator[str]:
    yield "## Environment"
    environments: dict[Environment, list[CellResult]] = {}
    for cell in view.cells:
        environments.setdefault(cell.environment, []).append(cell)
    if len(environments) > 1:
        yield (
            f"The cells ran in {len(environments)} different environments. Lines with several values differ; times "
            "and memory are then not compared on equal terms."
        )
    nodes = Counter(cell.node for cell in view.cells if cell.node is not None)
    if nodes:
        counts = listed([f"{code(node)} ({plural(count, 'cell')})" for node, count in nodes.items()])
        yield f"{capital(placed(view.cells) or '')}: {counts}."
    rows = []
    for field in Environment.model_fields:
        values: dict[str, int] = {}
        for environment, cells in environments.items():
            value = getattr(environment, field)
            text = MISSING if value is None else f"{value / 2**30:.1f} GiB" if field == "memory_bytes" else str(value)
            values[text] = values.get(text, 0) + len(cells)
        shown = [text if len(values) == 1 else f"{text} ({plural(count, 'cell')})" for text, count in values.items()]
        rows.append([field.removesuffix("_bytes"), "; ".join(shown)])
    yield markdown_table(["", "value"], rows, text_columns=2)
    sources = dict.fromkeys(cell.rss_source for cell in view.cells if cell.rss_source is not None)
    if sources:
        yield "Peak resident memory is " + "; in other cells, ".join(RSS_MEANING[source] for source in sources) + "."


def _floats(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
