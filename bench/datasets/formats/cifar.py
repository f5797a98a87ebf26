"""The three forms in which CIFAR-10 is read: binary batches, Python batches, and a NumPy archive.

The first two are described on the data set's page, https://www.cs.toronto.edu/~kriz/cifar.html; both hold 32x32
images as 3,072 bytes: all red, then all green, then all blue, each row by row. Checksums are published for the
Python batches alone, so only these can be verified.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.datasets.formats.pickles import RefusedPickleError, load_arrays
from bench.datasets.registry import RawData
from bench.errors import UserError

NUM_CLASSES = 10
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
_IMAGE = (3, 32, 32)
_IMAGE_BYTES = 3 * 32 * 32

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
BATCHES = (*TRAIN_BATCHES, "test_batch")
PYTHON_MD5: dict[str, str] = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""As in `torchvision.datasets.CIFAR10.train_list` and `test_list` (a test compares; importing it takes seconds)."""

_Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def read_binary_batches(folder: Path, source: str) -> RawData:
    """Read `data_batch_1.bin` .. `data_batch_5.bin` and `test_batch.bin`: records of a label and 3,072 pixels.

    Raises:
        UserError: a file is missing, of a wrong length, or holds a label that is not one of CIFAR-10's.
    """

    def read(path: Path, data: bytes) -> _Part:
        record = 1 + _IMAGE_BYTES
        if not data or len(data) % record:
            raise UserError(
                f"{path} is {len(data)} bytes long; expected a multiple of {record}, a label and 3,072 pixels"
            )
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        labels = checked_labels(records[:, 0], images=len(records), num_classes=NUM_CLASSES, where=str(path))
        return records[:, 1:].reshape(-1, *_IMAGE), labels

    parts = {name: read(path, data) for name, path, data in _batch_files(folder, ".bin")}
    return _from_batches(parts, folder, source, verified=None)


def read_python_batches(folder: Path, source: str) -> RawData:
    """Read the pickled `data_batch_1` .. `data_batch_5` and `test_batch`, without running anything in them.

    Raises:
        UserError: a file is missing or damaged, its pickle asks for more than NumPy arrays, or its images or labels
            are not CIFAR-10's.
    """

    def read(path: Path, data: bytes) -> _Part:
        try:
            batch = load_arrays(data)
            images, labels = batch["data"], np.asarray(batch["labels"])
        except RefusedPickleError as error:
            raise UserError(
                f"{path} is refused and nothing in it was run: {error}, and a CIFAR-10 batch holds plain arrays only"
            ) from None
        except Exception as error:  # a damaged pickle can raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"{path} is not a sound CIFAR-10 batch ({reason}); expected a pickle of 'data' and 'labels'"
            ) from None
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (_IMAGE_BYTES,):
            raise UserError(
                f"'data' in {path} is {_describe(images)}; expected uint8 of shape (N, 3072), colour images"
            )
        return images.reshape(-1, *_IMAGE), checked_labels(
            labels, images=len(images), num_classes=NUM_CLASSES, where=str(path)
        )

    parts: dict[str, _Part] = {}
    verified = True
    for name, path, data in _batch_files(folder, ""):
        parts[name] = read(path, data)
        verified &= hashlib.md5(data, usedforsecurity=False).hexdigest() == PYTHON_MD5[name]
    return _from_batches(parts, folder, source, verified=verified)


def read_archive(path: Path, source: str) -> RawData:
    """Read an `.npz` of `x_train` and `x_test`, uint8 (N, 32, 32, 3), and `y_train` and `y_test`, whole numbers (N,).

    Raises:
        UserError: the file is damaged, or an array is missing or of another type or shape.
    """
    arrays = _archive_arrays(path)

    def part(name: str) -> _Part:
        images = arrays[f"x_{name}"]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
            raise UserError(
                f"x_{name} in {path} is {_describe(images)}; expected uint8 of shape (N, 32, 32, 3), colour images"
            )
        where = f"y_{name} in {path}"
        labels = checked_labels(arrays[f"y_{name}"], images=len(images), num_classes=NUM_CLASSES, where=where)
        check_every_class(labels, num_classes=NUM_CLASSES, where=where)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels

    return _raw_data(part("train"), part("test"), source, verified=None)


def _archive_arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is a single array; expected an .npz archive of {', '.join(names)}")
        with archive:
            for name in names:
                if name not in archive:
                    raise UserError(f"{path} holds no {name}; expected {', '.join(names)}")
            return {name: archive[name] for name in names}
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a sound .npz archive of plain arrays ({reason}); replace it") from None


def _batch_files(folder: Path, suffix: str) -> list[tuple[str, Path, bytes]]:
    """Read all six files of a folder: (name, path, contents)."""
    files = []
    for name in BATCHES:
        path = folder / f"{name}{suffix}"
        try:
            files.append((name, path, path.read_bytes()))
        except FileNotFoundError:
            raise UserError(f"{path} is missing; CIFAR-10 is {len(BATCHES)} files, {', '.join(BATCHES)}") from None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return files


def _from_batches(parts: Mapping[str, _Part], folder: Path, source: str, verified: bool | None) -> RawData:
    images, labels = (np.concatenate(arrays) for arrays in zip(*(parts[name] for name in TRAIN_BATCHES), strict=True))
    check_every_class(labels, num_classes=NUM_CLASSES, where=f"the training batches in {folder}")
    check_every_class(parts["test_batch"][1], num_classes=NUM_CLASSES, where=f"the test batch in {folder}")
    return _raw_data((images, labels), parts["test_batch"], source, verified)


def _raw_data(train: _Part, test: _Part, source: str, verified: bool | None) -> RawData:
    partial = len(train[0]) < TRAIN_IMAGES or len(test[0]) < TEST_IMAGES
    return RawData(*train, *test, source=source, verified=verified, partial=partial)


def _describe(value: object) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
