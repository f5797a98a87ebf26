"""IDX, the format of MNIST and its relatives: a big-endian header, then the values.

Header: two zero bytes, one byte for the type (0x08: unsigned bytes, the only one used for images and labels), one
byte for the number of dimensions, then each dimension as a 32-bit number. Files are published gzipped.
Source: the description of the format on the MNIST page, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.checksums import md5_of
from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.errors import UserError

_UNSIGNED_BYTES = 0x08
_SIDE = 28
"""Pixels of an image's side, in all the data sets that are published in this format."""


@dataclass(frozen=True, eq=False)
class IdxFile:
    """What one IDX file holds."""

    path: Path
    values: NDArray[np.uint8]
    """In the shape of the header; writable."""
    sha256: str
    """Of the unpacked file, header included: the same whether and however the file was gzipped."""
    gzip_md5: str | None = None
    """Of the gzipped file as it is; None where it is not gzipped."""


def find_idx(folder: Path, stem: str) -> Path | None:
    """Return the file `stem.gz` or `stem` in a folder, the gzipped one (it carries a checksum) first, or None."""
    return next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None)


def read_idx(path: Path, *, ndim: int, stream: IO[bytes] | None = None) -> IdxFile:
    """Read a whole IDX file of unsigned bytes with `ndim` dimensions, gzipped if its name ends in `.gz`.

    Args:
        path: The file.
        ndim: How many dimensions it has.
        stream: Its bytes, where it lies in an archive; `path` then only names it.

    Raises:
        UserError: the file cannot be read, is not a sound gzip file, is of another type or number of dimensions, or
            is longer or shorter than its header says.
    """
    try:
        with contextlib.nullcontext(stream) if stream else path.open("rb") as file:
            if path.suffix != ".gz":
                return _read(path, file, ndim)
            # gzip.open's own type is wider than what "rb" gives
            with cast(BinaryIO, gzip.open(file, "rb")) as unpacked:
                found = _read(path, unpacked, ndim)
            return found if stream else replace(found, gzip_md5=md5_of(path))
    except EOFError:
        raise UserError(f"{path} is cut short: its gzip stream ends early; replace it with a complete copy") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is not a sound gzip file ({error}); replace it with a complete copy") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def read_parts(folder: Path, names: Sequence[str], title: str) -> list[IdxFile] | None:
    """Read the four files of a data set from a folder, or return None if none of them is there.

    Args:
        folder: Where they are.
        names: Of the training images and labels, then of the test images and labels, without `.gz`.
        title: The data set, as published.

    Raises:
        UserError: one of them is missing, or as `read_idx`.
    """
    paths = {name: find_idx(folder, name) for name in names}
    if not any(paths.values()):
        return None
    files = []
    for name, path in paths.items():
        if path is None:
            raise UserError(f"{folder / name}.gz is missing; {title} is four files: {', '.join(names)}")
        files.append(read_idx(path, ndim=dimensions_of(name)))
    return files


def dimensions_of(name: str) -> int:
    """What the name of a file says of its number of dimensions: images have three, labels one."""
    return 3 if "images" in name else 1


def paired(
    images: IdxFile, labels: IdxFile, *, title: str, num_classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Check one part (training or test) of a data set, and return its images (N, 1, 28, 28) and labels (N,).

    Args:
        images: (N, 28, 28).
        labels: (N,).
        title: The data set, as published.
        num_classes: Labels must be 0 .. num_classes - 1, and none of them may be without an image.

    Raises:
        UserError: the images have another size, or labels and images do not fit one another or the classes.
    """
    if images.values.shape[1:] != (_SIDE, _SIDE):
        size = " x ".join(map(str, images.values.shape[1:]))
        raise UserError(f"{images.path} holds images of {size} pixels; those of {title} are {_SIDE} x {_SIDE}")
    where = str(labels.path)
    y = checked_labels(labels.values, images=len(images.values), num_classes=num_classes, where=where)
    check_every_class(y, num_classes=num_classes, where=where)
    return images.values[:, None], y


def _read(path: Path, file: IO[bytes], ndim: int) -> IdxFile:
    expected_magic = bytes([0, 0, _UNSIGNED_BYTES, ndim])
    magic = file.read(4)
    if magic != expected_magic:
        raise UserError(
            f"{path} starts with the bytes {magic.hex() or '(none)'}; "
            f"an IDX file of unsigned bytes in {ndim} dimension(s) starts with {expected_magic.hex()}"
        )
    dimensions = file.read(4 * ndim)
    if len(dimensions) < 4 * ndim:
        raise UserError(
            f"{path} is cut short inside its header of {4 + 4 * ndim} bytes; replace it with a complete copy"
        )
    shape = tuple(int(size) for size in np.frombuffer(dimensions, dtype=">u4"))
    size = math.prod(shape)
    data = file.read()  # to the end, and not by the announced size: a damaged header could announce anything
    if len(data) != size:
        announced = " x ".join(map(str, shape))
        raise UserError(f"{path} holds {len(data)} bytes of data; its header announces {announced} = {size}")
    if size == 0:
        raise UserError(f"{path} holds nothing; expected at least one value")
    digest = hashlib.sha256(magic + dimensions)
    digest.update(data)
    return IdxFile(path, np.frombuffer(data, dtype=np.uint8).reshape(shape).copy(), digest.hexdigest())
