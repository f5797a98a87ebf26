"""Pictures in folders, one a class: torchvision's ImageFolder layout, read into arrays of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from bench.datasets.formats.image_file import MODES, read_picture, stretched
from bench.datasets.registry import RawData
from bench.errors import UserError

_KINDS = {MODES[1]: "grey", MODES[3]: "in colour"}


def read_parts(
    parts: tuple[Path, Path], class_names: Sequence[str], *, size: int | None, channels: int | None
) -> RawData:
    """Read all pictures of the training and the test part.

    Args:
        parts: Their folders, each with a folder for each class.
        class_names: The names of those, in the order of the class numbers.
        size: Pixels of a side, to which every picture is resized; None: all must have the same size.
        channels: 1 or 3, into which every picture is turned; None: all must be grey, or all colour.

    Raises:
        UserError: a picture cannot be read, a class has none, or pictures differ in size or kind.
    """
    found = [_list(part, class_names) for part in parts]
    reader = _Reader(size, channels)
    (x_train, y_train), (x_test, y_test) = (
        (np.stack([reader.read(path) for path, _ in part]), np.array([number for _, number in part], dtype=np.int64))
        for part in found
    )
    return RawData(x_train, y_train, x_test, y_test, source="folders of pictures", verified=None, partial=False)


def _list(part: Path, class_names: Sequence[str]) -> list[tuple[Path, int]]:
    """The pictures of a part and their classes, in the order of names."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    numbers = {name: number for number, name in enumerate(class_names)}
    found = make_dataset(part, numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    for number in sorted(set(range(len(class_names))) - {number for _, number in found}):
        raise UserError(
            f"{part / class_names[number]} holds no picture; expected files whose names end in one of "
            f"{', '.join(IMG_EXTENSIONS)}"
        )
    return [(Path(path), number) for path, number in found]


class _Reader:
    """Reads one picture after another, and refuses one that is not like the first."""

    def __init__(self, size: int | None, channels: int | None) -> None:
        self._size = size
        self._channels = channels
        self._first: tuple[Path, str, tuple[int, int]] | None = None

    def read(self, path: Path) -> NDArray[np.uint8]:
        """(C, H, W)."""
        picture = read_picture(path, self._channels)
        if self._size is not None:
            picture = stretched(picture, (self._size, self._size))
        self._check(path, picture)
        return np.asarray(picture).reshape(picture.height, picture.width, -1).transpose(2, 0, 1)

    def _check(self, path: Path, picture: Image) -> None:
        if self._first is None:
            self._first = (path, picture.mode, picture.size)
        first, mode, size = self._first
        if picture.mode != mode:
            raise UserError(
                f"{path} is {_KINDS[picture.mode]} and {first} is {_KINDS[mode]}: make them alike, or write "
                "folder:PATH[channels=1] for grey or [channels=3] for colour"
            )
        if picture.size != size:
            raise UserError(
                f"{path} has {picture.width} x {picture.height} pixels and {first} {size[0]} x {size[1]}: make them "
                "alike, or write folder:PATH[size=32] to have all resized"
            )
