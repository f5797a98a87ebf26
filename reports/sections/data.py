"""Data: where the images came from, whether they were verified, and what was done to them."""

from __future__ import annotations

from collections.abc import Callable

from reports.formats.markdown import FINGERPRINT_DIGITS, MISSING, Markdown, code, markdown_table
from reports.formats.prose import prose
from reports.view import RunView
from results.conditions import AugmentationRecord, DataRecord

VERIFIED = {
    True: "match the published checksums",
    False: "do NOT match the published checksums",
    None: "none published",
}
ROWS: dict[str, Callable[[DataRecord], str]] = {
    "source": lambda record: record.source,
    "checksums": lambda record: VERIFIED[record.verified],
    "of the published set": lambda record: "a part" if record.partial else "all",
    "shape": lambda record: " × ".join(map(str, record.shape)),
    "classes": lambda record: str(record.num_classes),
    "training images": lambda record: f"{record.n_train:,} of {record.n_train_available:,}",
    "validation images": lambda record: f"{record.n_val:,}",
    "test images": lambda record: f"{record.n_test:,}",
    "mean": lambda record: ", ".join(f"{value:.4f}" for value in record.mean),
    "SD": lambda record: ", ".join(f"{value:.4f}" for value in record.std),
    "fingerprint": lambda record: code(record.fingerprint[:FINGERPRINT_DIGITS]),
    "augmentation": lambda record: augmentation(record.augmentation),
}
PUBLISHED = ("checksums", "of the published set")
"""Rows that data of one's own have not."""
TEXT = """
## Data

{% if not table %}No data were recorded.{% else %}{{ table }}

*Shape* is channels × height × width. *Training images* are those used, out of those available once the validation part
was held out. Images are normalised per channel with the *mean* and *SD* of the training part, in [0, 1] units.
*Fingerprint* is the beginning of the SHA-256 of all tensors as used: equal fingerprints mean equal data in equal order.

{% if augmented %}*Augmentation*: training images were changed at random, anew in each epoch and in the same way for
every method at the same seed: shifted by up to so many pixels vertically × horizontally, with the stored value 0 for
what comes in from outside, and, where the table says so, half of them mirrored left to right. Validation and test
images were not changed.{% endif %}{% endif %}
"""


def section(run: RunView) -> Markdown:
    """A column for each form of each data set."""
    columns: dict[str, DataRecord] = {}
    own: set[str] = set()
    for data in run.datasets:
        records = {cell.data.fingerprint: cell.data for cell in data.cells if cell.data is not None}
        for index, record in enumerate(records.values(), start=1):
            name = code(data.name) if len(records) == 1 else f"{code(data.name)}, form {index}"
            columns[name] = record
            own |= {name} if is_own(data.name) else set()
    augmented = any(record.augmentation for record in columns.values())
    rows = []
    for name, value in ROWS.items():
        without = own if name in PUBLISHED else set()
        if without != columns.keys() and (name != "augmentation" or augmented):
            rows.append([name, *(MISSING if key in without else value(each) for key, each in columns.items())])
    table = markdown_table(["", *columns], rows, text_columns=1 + len(columns)) if columns else None
    return prose(TEXT, table=table, augmented=augmented)


def is_own(dataset: str) -> bool:
    """Whether a data set is somebody's own, named by where it is: nobody published it."""
    return ":" in dataset


def augmentation(record: AugmentationRecord | None) -> str:
    """`none`, `shifts of up to 4 × 4 pixels`, or the same `, half of them mirrored`."""
    if record is None:
        return "none"
    shifts = f"shifts of up to {' × '.join(map(str, record.shift))} pixels"
    return f"{shifts}, half of them mirrored" if record.flip else shifts
