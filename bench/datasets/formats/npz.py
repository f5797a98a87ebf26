"""NumPy's archives (`.npz`) of `x_train`, `y_train`, `x_test` and `y_test`. Nothing in them is unpickled.

`x_val` and `y_val`, a validation part, may be there, too. Names may be spelt as others do: `X_train`, `train_images`
and `val_labels` (MedMNIST, https://medmnist.com), `x_valid`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.labels import checked_labels, class_numbers
from bench.datasets.located import PART_NAMES
from bench.datasets.registry import RawData
from bench.errors import UserError
from results.files import printable

NAMES = ("x_train", "y_train", "x_test", "y_test")
_EXPECTED = f"an .npz archive of {', '.join(NAMES)}"
_PART = "|".join(PART_NAMES)
_KIND = r"x|images?|data|y|labels?|targets?"
_NAME = re.compile(rf"({_KIND})[_ .-]?({_PART})|({_PART})[_ .-]?({_KIND})", re.IGNORECASE)
"""How others spell our names."""
_VALIDATION = ("x_val", "y_val")


def read_arrays(path: Path, names: Sequence[str] = NAMES, optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Read arrays by name, and nothing else of the file.

    Args:
        path: The archive.
        names: Ours; an array may have another spelling instead.
        optional: Further names, of arrays that need not be there.

    Raises:
        UserError: the file cannot be read, is damaged or no archive, or an array is missing, there twice or a pickle.
    """
    try:
        with _opened(path) as file, warnings.catch_warnings(action="ignore"):  # ours to close, also where damaged
            if not file.read(6).startswith((b"PK", b"\x93NUMPY")):  # else NumPy takes it for a pickle
                raise ValueError("it is no zip file from its first byte on")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{path} is a single array; expected {_EXPECTED}")
            keys: dict[str, list[str]] = {}
            for key in archive.files:
                keys.setdefault(_our_name(key), []).append(key)
            found = {}
            for name in (*names, *optional):
                if len(here := keys.get(name, [])) > 1:
                    raise UserError(f"{path} has {' and '.join(here)}, which both may be {name}; expected one of them")
                if not here and name in names:
                    has = f"; it has {', '.join(archive.files)[:200]}" if archive.files else ""
                    raise UserError(f"{path} has no {name}; expected {', '.join(NAMES)}{has}")
                for key in here:
                    found[name] = archive[key]
                    if not isinstance(found[name], np.ndarray):
                        raise ValueError(f"{key} is no array")
            return found
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory, or is damaged ({error})") from None
    except UserError:
        raise
    except Exception as error:  # a damaged archive can raise anything, from zipfile, its codecs and NumPy's parser
        reason = " ".join(str(error).split())
        if "pickle" in reason:  # nobody is told to unpickle it
            reason = "it has Python objects, which may run code, instead of numbers"
        raise UserError(f"{path} is not a sound .npz archive of plain arrays ({reason}); replace it") from None


def _opened(path: Path) -> BinaryIO:
    try:
        if not path.exists():
            raise UserError(f"there is no file {path}; expected {_EXPECTED}")
        if not path.is_file():  # a pipe would be waited for, a device might never end
            raise UserError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; expected {_EXPECTED}")
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; expected {_EXPECTED}") from None


def _our_name(key: str) -> str:
    """What we call an array: `x_train` for `X_train` or `train_images`; a name that is none of ours is as it was."""
    if not (match := _NAME.fullmatch(key)):
        return key
    kind, part = (match[1], match[2]) if match[1] else (match[4], match[3])
    return f"{'y' if kind[0].lower() in 'ylt' else 'x'}_{PART_NAMES[part.lower()]}"


def count_classes(path: Path) -> int:
    """The number of classes K of an archive: training and test labels must both be 0 to K - 1, none of them missing.

    Raises:
        UserError: they are not, there are fewer than two classes, or the archive cannot be used.
    """
    arrays = read_arrays(path, ("y_train", "y_test"))
    classes: list[NDArray[Any]] = []
    for name, labels in arrays.items():
        where, labels = f"{name} in {path}", class_numbers(labels)
        if labels.dtype.kind not in "iu" or labels.ndim != 1 or not len(labels):
            raise UserError(f"{where} is {describe(labels)}; expected whole numbers of shape (N,), the class numbers")
        classes.append(np.unique(labels))
        gaps = np.flatnonzero(classes[-1] != np.arange(len(classes[-1])))
        if len(gaps):
            raise UserError(
                f"{where} has the label {classes[-1][gaps[0]]}, but not {gaps[0]}; expected 0 to K - 1 for K "
                "classes, each with an image"
            )
    train, test = map(len, classes)
    if train != test or train < 2:
        raise UserError(
            f"y_train in {path} has {train} class(es) and y_test {test}; expected the same number, at least 2"
        )
    return train


def read_images(path: Path, num_classes: int) -> RawData:
    """Read an archive's images, uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, and its labels.

    Raises:
        UserError: the archive cannot be used, the images are not such, those of the two parts differ in shape, or
            labels do not fit the images.
    """
    arrays = read_arrays(path, optional=_VALIDATION)
    if len(missing := [name for name in _VALIDATION if name not in arrays]) == 1:
        raise UserError(f"{path} has no {missing[0]}; expected both {' and '.join(_VALIDATION)}, or neither")

    def part(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, where = _channels_first(arrays[f"x_{name}"], f"x_{name} in {path}"), f"y_{name} in {path}"
        return images, checked_labels(arrays[f"y_{name}"], images=len(images), num_classes=num_classes, where=where)

    train, test = part("train"), part("test")
    val = part("val") if _VALIDATION[0] in arrays else None
    for name, images in (("test", test[0]), *([("validation", val[0])] if val else [])):
        if train[0].shape[1:] != images.shape[1:]:
            shapes = [" x ".join(map(str, each.shape[1:])) for each in (train[0], images)]
            raise UserError(
                f"{path} has training images of {shapes[0]} and {name} images of {shapes[1]} (channels x height x "
                "width); expected the same shape"
            )
    x_val, y_val = val or (None, None)
    return RawData(
        *train,
        *test,
        source=f"NumPy archive {path.name}",
        verified=None,
        partial=False,
        x_val=x_val,
        y_val=y_val,
        passed_over=_others(path),
    )


def _others(path: Path) -> dict[str, int]:
    with np.load(path, allow_pickle=False) as archive:
        others = [key for key in archive.files if _our_name(key) not in (*NAMES, *_VALIDATION)]
    return {printable(key): others.count(key) for key in others}


def _channels_first(images: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Images as (N, C, H, W)."""
    accepted = "expected uint8 of shape (N, H, W), (N, H, W, C) or (N, C, H, W), with 1 (grey) or 3 (colour) channels"
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape:
        how = ""
        if images.dtype.kind in "bf":
            how = "; numbers from 0 to 1 become that by (255 * x).round().astype('uint8')"
        raise UserError(f"{where} is {describe(images)}; {accepted}{how}")
    if images.ndim == 3:
        return images[:, None]
    first, last = (images.shape[axis] in (1, 3) for axis in (1, 3))
    if first and last and images.shape[1:] != (1, 1, 1):
        raise UserError(f"{where} is {describe(images)}, whose channels may be first or last; {accepted}, but not both")
    if not first and not last:
        raise UserError(f"{where} is {describe(images)}; {accepted}")
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def describe(value: object) -> str:
    """For people: an array's type and shape, or the type of anything else."""
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
