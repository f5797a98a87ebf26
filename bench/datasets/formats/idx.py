"""IDX, the format of MNIST and its relatives: a big-endian header, then the values.

Header: two zero bytes, one byte for the type (0x08: unsigned bytes, the only one used for images and labels), one
byte for the number of dimensions, then each dimension as a 32-bit number. Files are published gzipped.
Source: the description of the format on the MNIST page, http://yann.lecun.com/exdb/mnist/.

torchvision's reader (`read_sn3_pascalvincent_tensor`) cannot read gzipped files, ignores bytes that are missing or too
many at the end, and takes files apart with `assert`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.datasets.sources import Part
from bench.errors import UserError

_GZIP = b"\x1f\x8b"
_SIDE = 28
"""Pixels of an image's side, in all the data sets that are published in this format."""


@dataclass(frozen=True, eq=False)
class IdxFile:
    """The contents of one IDX file."""

    path: Path
    values: NDArray[np.uint8]
    """In the shape of the header; writable."""
    sha256: str
    """Of the unpacked file, header included: the same whether and however the file was gzipped."""


def read_idx(path: Path, *, ndim: int, stream: IO[bytes] | None = None) -> IdxFile:
    """Read a whole IDX file of unsigned bytes with `ndim` dimensions, gzipped or not, whatever its name says.

    Args:
        path: The file.
        ndim: How many dimensions it has.
        stream: Its bytes, if it is in an archive; `path` then only names it.

    Raises:
        UserError: the file cannot be read, is not a sound gzip file, is of another type or number of dimensions, or
            is longer or shorter than its header says.
    """
    try:
        with contextlib.nullcontext(stream) if stream else path.open("rb") as file:
            data = file.read()  # to the end, not by the announced size: a damaged header could announce anything
        if data.startswith(_GZIP) or (path.suffix == ".gz" and not data.startswith(b"\0\0\x08")):
            data = gzip.decompress(data)
    except EOFError:
        raise UserError(f"{path} is cut short: its gzip stream ends early; replace it with a complete copy") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is not a sound gzip file ({error}); replace it with a complete copy") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    magic, header = bytes([0, 0, 0x08, ndim]), 4 + 4 * ndim
    if data[:4] != magic:
        raise UserError(
            f"{path} starts with the bytes {data[:4].hex() or '(none)'}; "
            f"an IDX file of unsigned bytes in {ndim} dimension(s) starts with {magic.hex()}"
        )
    if len(data) < header:
        raise UserError(f"{path} is cut short inside its header of {header} bytes; replace it with a complete copy")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", count=ndim, offset=4))
    size, announced = len(data) - header, math.prod(shape)
    if size != announced:
        shown = " x ".join(map(str, shape))
        raise UserError(f"{path} has {size} bytes of data; its header announces {shown} = {announced}")
    if size == 0:
        raise UserError(f"{path} is empty; expected at least one value")
    values = np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()
    return IdxFile(path, values, hashlib.sha256(data).hexdigest())


def read_parts(paths: Sequence[Path]) -> list[IdxFile]:
    """Read the four files of a data set: training images and labels, then test images and labels.

    Raises:
        UserError: as `read_idx`.
    """
    return [read_idx(path, ndim=ndim) for path, ndim in zip(paths, (3, 1, 3, 1), strict=True)]


def paired(files: Sequence[IdxFile], *, title: str, num_classes: int) -> tuple[Part, Part]:
    """Check that four such files fit one another, and return the training and the test part, images (N, 1, 28, 28).

    Args:
        files: As `read_parts` returns them.
        title: The data set, as published.
        num_classes: Labels must be 0 .. num_classes - 1, and each part must have an image of every class.

    Raises:
        UserError: the images have another size, or labels and images do not fit one another or the classes.
    """

    def pair(images: IdxFile, labels: IdxFile) -> Part:
        if images.values.shape[1:] != (_SIDE, _SIDE):
            size = " x ".join(map(str, images.values.shape[1:]))
            raise UserError(f"{images.path} has images of {size} pixels; those of {title} are {_SIDE} x {_SIDE}")
        where = str(labels.path)
        y = checked_labels(labels.values, images=len(images.values), num_classes=num_classes, where=where)
        check_every_class(y, num_classes=num_classes, where=where)
        return images.values[:, None], y

    return pair(*files[:2]), pair(*files[2:])
