"""What is worth warning about in a data set, in sentences: the one place that knows, for commands and report."""

from __future__ import annotations

from results.conditions import DataRecord

_MAJORITY = 0.75
"""A class with this share of the test images is most of them, however few classes there are."""
_TIMES = 3
"""Or one with so many times its even share."""
_TINY = 10
"""Training images of a class that are too few to learn it from."""
_BLANK = 0.01
"""Share of the training images that are blank, from which they are no accident."""
_NAMED = 5
"""Kinds of files, or arrays, that are named, the most frequent ones: there may be hundreds."""
_BLACK = 1 / 255
"""Mean of images whose pixels are 0 and 1 of 255."""


def data_warnings(record: DataRecord) -> list[str]:
    """Sentences without a full stop, without the data set's name; none where the data are as they should be."""
    return [
        sentence
        for sentence in (_passed_over(record), _frames(record), *_duplicates(record), *_values(record))
        if sentence
    ]


def _passed_over(record: DataRecord) -> str:
    if not record.passed_over:
        return ""
    total = sum(count for _, count in record.passed_over)
    kinds = sorted(record.passed_over, key=lambda kind: -kind[1])
    named = [f"{kind}: {count:,}" for kind, count in kinds[:_NAMED]]
    if others := sum(count for _, count in kinds[_NAMED:]):
        named.append(f"others: {others:,}")
    return (
        f"{total:,} {'file or array' if total == 1 else 'files or arrays'} of its data passed over ({', '.join(named)})"
    )


def _frames(record: DataRecord) -> str:
    if not record.several_frames:
        return ""
    pictures = "picture is" if record.several_frames == 1 else "pictures are"
    return f"{record.several_frames:,} {pictures} animated or of several pages: only the first is read"


def _duplicates(record: DataRecord) -> list[str]:
    parts = (
        ("test", record.test_duplicates, record.n_test, "training or validation"),
        ("validation", record.val_duplicates, record.n_val, "training"),
    )
    return [
        f"{count:,} of {total:,} {part} images ({count / total:.1%}) in the {where} part too, pixel for pixel: {part} "
        "accuracy may be too high by that share"
        for part, count, total, where in parts
        if count
    ]


def _values(record: DataRecord) -> list[str]:
    found = []
    share = record.majority_share
    if share is not None and share >= min(_MAJORITY, _TIMES / record.num_classes):
        found.append(f"{share:.1%} of the test images are of one class: always guessing it reaches this accuracy")
    if record.smallest_class is not None and record.smallest_class < _TINY:
        plural = "image" if record.smallest_class == 1 else "images"
        found.append(f"its smallest class has {record.smallest_class} training {plural}, too few to learn it from")
    if (share := record.blank / max(1, record.n_train_available)) > _BLANK:
        found.append(
            f"{record.blank:,} training {'image has' if record.blank == 1 else 'images have'} one colour "
            f"throughout ({share:.1%}): was something drawn on a transparent background lost?"
        )
    if record.mean and max(record.mean) <= _BLACK:
        found.append("its images are almost black: were numbers from 0 to 1 turned into whole numbers?")
    return found
