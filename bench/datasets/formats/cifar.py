"""The three forms in which CIFAR-10 and CIFAR-100 are read: binary batches, Python batches, and a NumPy archive.

The first two are described on the data sets' page, https://www.cs.toronto.edu/~kriz/cifar.html; both hold 32x32
images as 3,072 bytes: all red, then all green, then all blue, each row by row. Checksums are published for the
Python batches alone, so only these can be verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.datasets.formats.npz import describe, read_arrays
from bench.datasets.formats.pickles import RefusedPickleError, load_arrays
from bench.datasets.registry import RawData
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.cifar_family import Family

TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
_IMAGE = (3, 32, 32)
_IMAGE_BYTES = 3 * 32 * 32

_Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def read_binary_batches(family: Family, folder: Path, source: str) -> RawData:
    """Read the batches whose names end in `.bin`: records of labels and 3,072 pixels.

    Raises:
        UserError: a file is missing, of a wrong length, or holds a label that is not one of the data set's.
    """

    def read(path: Path, data: bytes) -> _Part:
        record = family.label_bytes + _IMAGE_BYTES
        if not data or len(data) % record:
            count = "a label" if family.label_bytes == 1 else f"{family.label_bytes} labels"
            raise UserError(
                f"{path} is {len(data)} bytes long; expected a multiple of {record}, {count} and 3,072 pixels"
            )
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        classes = records[:, family.label_bytes - 1]
        labels = checked_labels(classes, images=len(records), num_classes=len(family.class_names), where=str(path))
        return records[:, family.label_bytes :].reshape(-1, *_IMAGE), labels

    parts = {name: read(path, data) for name, path, data in _batch_files(family, folder, ".bin")}
    return _from_batches(family, parts, folder, source, verified=None)


def read_python_batches(family: Family, folder: Path, source: str) -> RawData:
    """Read the pickled batches, without running anything in them.

    Raises:
        UserError: a file is missing or damaged, its pickle asks for more than NumPy arrays, or its images or labels
            are not the data set's.
    """

    def read(path: Path, data: bytes) -> _Part:
        try:
            batch = load_arrays(data)
            images, labels = batch["data"], np.asarray(batch[family.label_key])
        except RefusedPickleError as error:
            raise UserError(
                f"{path} is refused and nothing in it was run: {error}, and a {family.title} batch holds plain arrays "
                "only"
            ) from None
        except Exception as error:  # a damaged pickle can raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"{path} is not a sound {family.title} batch ({reason}); expected a pickle of 'data' and "
                f"{family.label_key!r}"
            ) from None
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (_IMAGE_BYTES,):
            raise UserError(f"'data' in {path} is {describe(images)}; expected uint8 of shape (N, 3072), colour images")
        return images.reshape(-1, *_IMAGE), checked_labels(
            labels, images=len(images), num_classes=len(family.class_names), where=str(path)
        )

    parts: dict[str, _Part] = {}
    verified = True
    for name, path, data in _batch_files(family, folder, ""):
        parts[name] = read(path, data)
        verified &= hashlib.md5(data, usedforsecurity=False).hexdigest() == family.python_md5[name]
    return _from_batches(family, parts, folder, source, verified=verified)


def read_archive(family: Family, path: Path, source: str) -> RawData:
    """Read an `.npz` of `x_train` and `x_test`, uint8 (N, 32, 32, 3), and `y_train` and `y_test`, whole numbers (N,).

    Raises:
        UserError: the file is damaged, or an array is missing or of another type or shape.
    """
    arrays = read_arrays(path)

    def part(name: str) -> _Part:
        images = arrays[f"x_{name}"]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
            raise UserError(
                f"x_{name} in {path} is {describe(images)}; expected uint8 of shape (N, 32, 32, 3), colour images"
            )
        where = f"y_{name} in {path}"
        labels = checked_labels(
            arrays[f"y_{name}"], images=len(images), num_classes=len(family.class_names), where=where
        )
        check_every_class(labels, num_classes=len(family.class_names), where=where)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels

    return _raw_data(part("train"), part("test"), source, verified=None)


def _batch_files(family: Family, folder: Path, suffix: str) -> list[tuple[str, Path, bytes]]:
    """Read all files of a folder: (name, path, contents)."""
    files = []
    for name in family.python_md5:
        path = folder / f"{name}{suffix}"
        try:
            files.append((name, path, path.read_bytes()))
        except FileNotFoundError:
            raise UserError(
                f"{path} is missing; {family.title} is {len(family.python_md5)} files, {', '.join(family.python_md5)}"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return files


def _from_batches(
    family: Family, parts: Mapping[str, _Part], folder: Path, source: str, verified: bool | None
) -> RawData:
    training = [part for name, part in parts.items() if name != family.test_batch]
    images, labels = (np.concatenate(arrays) for arrays in zip(*training, strict=True))
    test_images, test_labels = parts[family.test_batch]
    check_every_class(labels, num_classes=len(family.class_names), where=f"the training part in {folder}")
    check_every_class(test_labels, num_classes=len(family.class_names), where=f"the test part in {folder}")
    return _raw_data((images, labels), (test_images, test_labels), source, verified)


def _raw_data(train: _Part, test: _Part, source: str, verified: bool | None) -> RawData:
    partial = len(train[0]) < TRAIN_IMAGES or len(test[0]) < TEST_IMAGES
    return RawData(*train, *test, source=source, verified=verified, partial=partial)
