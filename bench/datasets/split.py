"""From a published data set to what a cell trains on: validation part, training subset, normalisation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.datasets.sampling import balanced_order, hold_out
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bench.datasets.registry import RawData
    from results.schema import DataRecord

_ONE_IN = 10
"""One training image in ten is held out for validation."""
MAX_DUPLICATE_SHARE = 0.1
"""Of the test images that may be among the training images, too, unless told otherwise."""
_MIN_STD = 1 / 255
"""One grey level: the floor of the standard deviation, so that a constant channel is not divided by 0."""

_CONSTANT = (
    "black ink on a transparent background, which is read as black on black, or numbers from 0 to 1 that were turned "
    "into whole numbers"
)
"""Where images that are all black come from."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Images, uint8 (N, C, H, W), and labels, int64 (N,), of one run in CPU memory."""

    x_train: Tensor
    y_train: Tensor
    x_val: Tensor
    y_val: Tensor
    x_test: Tensor
    y_test: Tensor
    mean: tuple[float, ...]
    """Of each channel of the training part, in [0, 1] pixel units."""
    std: tuple[float, ...]
    """The same; never below 1/255."""
    record: DataRecord


def make_splits(
    raw: RawData, *, num_classes: int, train_size: int | None, split_seed: int, allow_duplicates: bool = False
) -> Splits:
    """Hold out a validation part, then take a class-balanced training subset from the rest.

    The validation part is the data set's own, or else a tenth of the training images of every class (at least one),
    which depends on `split_seed` alone. Of the rest, a smaller `train_size` is a subset of a larger one. The test part
    is passed through untouched.

    Args:
        raw: The data set as published.
        num_classes: Labels are 0 .. num_classes - 1.
        train_size: Training images to take, with the counts of any two classes differing by at most 1; None takes all
            that are left, balanced or not.
        split_seed: 0 or more. The same seed gives the same split on every machine and library version.
        allow_duplicates: Whether more than `MAX_DUPLICATE_SHARE` of the test images may be training images, too.

    Raises:
        UserError: `train_size` is below the number of classes, above what is left, or more than can be balanced; the
            seed is negative; a class has fewer than two training images or no test image; all images of a part are the
            same; or too many test images are training images, too.
    """
    import numpy as np
    import torch

    from results.schema import DataRecord

    if split_seed < 0:
        raise UserError(f"split seed {split_seed} cannot be used; expected 0 or more")
    _check_classes(raw, num_classes)
    duplicates, val_duplicates = _check_images(raw, allow_duplicates)
    if raw.y_val is None:
        held, rest = hold_out(raw.y_train, one_in=_ONE_IN, seed=split_seed, purpose="validation")
    else:
        rest = np.concatenate(hold_out(raw.y_train, one_in=_ONE_IN, seed=split_seed, purpose="validation")[::-1])
        held = rest[:0]
    chosen = rest
    if train_size is not None:
        _check_train_size(train_size, np.bincount(raw.y_train[rest], minlength=num_classes).tolist())
        chosen = balanced_order(rest, raw.y_train)[:train_size]
    train, val = np.sort(chosen), np.sort(held)

    arrays: dict[str, NDArray[Any]] = {
        "x_train": raw.x_train[train],
        "y_train": raw.y_train[train],
        "x_val": raw.x_train[val] if raw.x_val is None else raw.x_val.copy(),
        "y_val": raw.y_train[val] if raw.y_val is None else raw.y_val.copy(),
        "x_test": raw.x_test.copy(),  # a tensor shares its array's memory, and this array is the caller's
        "y_test": raw.y_test.copy(),
    }
    mean, std = channel_statistics(arrays["x_train"])
    channels, height, width = raw.x_train.shape[1:]
    record = DataRecord(
        source=raw.source,
        verified=raw.verified,
        fingerprint=_fingerprint(arrays),
        shape=(channels, height, width),
        num_classes=num_classes,
        n_train=len(train),
        n_val=len(arrays["x_val"]),
        n_test=len(raw.x_test),
        n_train_available=len(rest),
        partial=raw.partial,
        mean=mean,
        std=std,
        passed_over=tuple(sorted(raw.passed_over.items())),
        test_duplicates=duplicates,
        val_duplicates=val_duplicates,
        several_frames=raw.several_frames,
        blank=_count_blank(raw.x_train, rest),
        smallest_class=int(np.bincount(raw.y_train[rest], minlength=num_classes).min()),
        majority_share=int(np.bincount(raw.y_test).max()) / len(raw.y_test),
    )
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Splits(**tensors, mean=mean, std=std, record=record)


def channel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the (population) standard deviation of every channel, in [0, 1] pixel units.

    Computed from whole-number histograms, so the result does not depend on threads, chunks or library versions.

    Args:
        images: (N, C, H, W).
    """
    import numpy as np

    means, deviations = [], []
    for channel in range(images.shape[1]):
        histogram = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), 1024):  # bincount makes an int64 copy, so a little at a time
            histogram += np.bincount(images[start : start + 1024, channel].ravel(), minlength=256)
        counts = histogram.tolist()
        n = sum(counts)
        total = sum(level * count for level, count in enumerate(counts))
        squares = sum(level * level * count for level, count in enumerate(counts))
        means.append(total / n / 255)
        deviations.append(max((n * squares - total * total) ** 0.5 / n / 255, _MIN_STD))
    return tuple(means), tuple(deviations)


def _check_classes(raw: RawData, num_classes: int) -> None:
    import numpy as np

    parts = [("training", raw.y_train, 2 if raw.y_val is None else 1), ("test", raw.y_test, 1)]
    if raw.y_val is not None:
        parts.append(("validation", raw.y_val, 0))
    for part, labels, least in parts:
        if labels.min() < 0 or labels.max() >= num_classes:
            raise UserError(f"{part} labels run from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}")
        counts = np.bincount(labels, minlength=num_classes)
        if counts.min() < least:
            raise UserError(f"class {counts.argmin()} has {counts.min()} {part} image(s); expected at least {least}")


def _check_images(raw: RawData, allow_duplicates: bool) -> tuple[int, int]:
    """Check that a part has more than one image, and count the test and validation images that are training images.

    Equal means pixel for pixel, whatever the label.
    """
    parts = [("training", raw.x_train), ("test", raw.x_test)]
    if raw.x_val is not None:
        parts.append(("validation", raw.x_val))
    digests = {}
    for part, images in parts:
        digests[part] = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        if len(images) > 1 and len(set(digests[part])) == 1:
            value = int(images.flat[0])
            why = "the same picture, copied"
            if (images == value).all():
                why = f"each pixel is {value}: {_CONSTANT if value <= 1 else 'pictures of one colour'}"
            raise UserError(f"all {len(images)} images of the {part} part are equal ({why}): nothing can be learnt")
    training = set(digests["training"])
    known = training.union(digests.get("validation", ()))
    duplicates = sum(digest in known for digest in digests["test"])
    share = duplicates / len(raw.x_test)
    if share > MAX_DUPLICATE_SHARE and not allow_duplicates:
        raise UserError(
            f"{duplicates:,} of {len(raw.x_test):,} test images ({share:.0%}) are in the training or validation "
            "part, too, pixel for pixel, so test accuracy would be that of learning by heart; remove them, or allow it "
            "with --duplicates"
        )
    return duplicates, sum(digest in training for digest in digests.get("validation", ()))


def _count_blank(images: NDArray[np.uint8], indices: NDArray[np.int64]) -> int:
    """How many of the images at these indices have one colour throughout; those of one pixel do not count."""
    import numpy as np

    count = 0
    for start in range(0, len(indices) if images[0, 0].size > 1 else 0, 1024):
        chunk = images[indices[start : start + 1024]]
        is_flat = np.ptp(chunk, axis=(2, 3)) == 0
        count += int(is_flat.all(axis=1).sum())
    return count


def _check_train_size(train_size: int, counts: list[int]) -> None:
    """Check that `train_size` images can be taken in balance from classes of these sizes."""
    smallest = min(counts)
    # When the smallest class is used up, each larger one can still give one more.
    largest = len(counts) * smallest + sum(count > smallest for count in counts)
    if train_size < len(counts):
        raise UserError(f"training size {train_size} is too small; expected at least {len(counts)}, one per class")
    if train_size > sum(counts):
        raise UserError(f"training size {train_size} is too large; {sum(counts)} images are left after validation")
    if train_size > largest:
        raise UserError(
            f"training size {train_size} cannot be balanced over the classes, the smallest of which has {smallest} "
            f"images; expected at most {largest}, or no training size for all {sum(counts)}"
        )


def _fingerprint(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and values, in order; labels as little-endian whatever the machine."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        digest.update(f"{name} {little_endian.dtype.str} {little_endian.shape}\n".encode())
        digest.update(little_endian.data)
    return digest.hexdigest()
