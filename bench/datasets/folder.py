"""`folder:PATH`: any pictures, in torchvision's ImageFolder layout: PATH/train/CLASS/*.png, PATH/test/CLASS/*.png.

With a third part, PATH/val/CLASS/*.png, beside these, that is the validation part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.formats.pictures import SUFFIXES, Walker, class_folders
from bench.datasets.located import EPOCHS, check_text, locate
from bench.datasets.registry import Dataset, RawData, register_scheme
from bench.errors import UserError
from methods.core.options import Options
from results.files import is_dir

if TYPE_CHECKING:
    from PIL.Image import Image

VALIDATION = "val"
TRAIN, TESTS = "train", ("test", VALIDATION)
"""Names of the folders of the two parts; of the test part's, the first that is there."""
MAX_SIDE = 1024
_KINDS = {"L": "grey", "RGB": "in colour"}


@dataclass(frozen=True)
class FolderOptions(Options):
    """What may be in brackets after the path."""

    size: int | None = None
    """Pixels of a side: every picture is stretched to a square of that size; None: all must have the same size."""
    channels: int | None = None
    """1: all pictures are turned into grey; 3: into colour; None: all must be grey, or all in colour."""
    flip: bool = False
    """As `Dataset.flip`."""

    def __post_init__(self) -> None:
        self.require(self.size is None or 1 <= self.size <= MAX_SIDE, "size", f"from 1 to {MAX_SIDE} pixels")
        self.require(self.channels in (None, 1, 3), "channels", "1 (grey) or 3 (colour)")


@register_scheme(
    "folder",
    usage="folder:PATH[size=32]",
    summary="pictures of your own in folders, train/CLASS/ and test/CLASS/ below PATH",
)
def open_folder(text: str) -> Dataset:
    """Make a data set of folders of pictures; the folders are listed, no picture is read.

    Raises:
        UserError: the name cannot be used, a folder is missing or empty, or the parts do not have the same classes.
    """
    place = locate("folder", text, FolderOptions)
    test = next((name for name in TESTS if is_dir(place.path / name)), TESTS[0])
    parts = [place.path / TRAIN, place.path / test]
    if test != VALIDATION and is_dir(place.path / VALIDATION):
        parts.append(place.path / VALIDATION)
    listed = [_classes(part) for part in parts]
    class_names = tuple(listed[0])
    for part, others in zip(parts[1:], listed[1:], strict=True):
        for name in sorted({*class_names} ^ {*others}):
            here, missing = (parts[0], part) if name in class_names else (part, parts[0])
            raise UserError(
                f"{here} has a class {name!r} and {missing} has not; expected the same classes in both parts"
            )
    if len(class_names) < 2:
        raise UserError(f"{parts[0]} has one class, {class_names[0]!r}; expected at least 2")

    def load(data_dir: Path | None) -> RawData:
        return _read(parts, class_names, place.options)

    return Dataset(place.name, f"the pictures in {place.path}", class_names, load, EPOCHS, place.options.flip)


def _classes(part: Path) -> dict[str, list[Path]]:
    """The folders of one part by class name, sorted."""
    try:
        found = class_folders(part)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
        raise UserError(
            f"{part} {reason}; expected pictures in {TRAIN}/CLASS/ and {' or '.join(TESTS)}/CLASS/"
        ) from None
    if not found:
        raise UserError(f"{part} has no folders; expected one for each class, with its pictures in it")
    for name in found:
        check_text(name, f"the name of a class in {part},")
    return found


def _read(parts: Sequence[Path], class_names: Sequence[str], options: FolderOptions) -> RawData:
    """Read all pictures of the parts, in the order of their names.

    Raises:
        UserError: a picture cannot be read, a class has none, or pictures differ in size or kind.
    """
    import numpy as np

    from bench.datasets.formats.image_file import read_picture, stretched

    first: tuple[Path, Image] | None = None
    arrays, passed_over = [], Counter[str]()
    for part in parts:
        listed, left = _list(part, class_names)
        passed_over += left
        images = []
        for path, _ in listed:
            picture = read_picture(path, options.channels)
            if options.size is not None:
                picture = stretched(picture, (options.size, options.size))
            first = first or (path, picture)
            _check_alike(path, picture, *first)
            images.append(np.asarray(picture).reshape(picture.height, picture.width, -1).transpose(2, 0, 1))
        arrays += [np.stack(images), np.array([number for _, number in listed], dtype=np.int64)]
    x_train, y_train, x_test, y_test, *validation = arrays
    x_val, y_val = validation or (None, None)
    return RawData(
        x_train,
        y_train,
        x_test,
        y_test,
        "folders of pictures",
        verified=None,
        partial=False,
        x_val=x_val,
        y_val=y_val,
        passed_over=dict(passed_over),
    )


def _list(part: Path, class_names: Sequence[str]) -> tuple[list[tuple[Path, int]], Counter[str]]:
    """The pictures of a part and their classes; and how many files were passed over, by what they are."""
    walker = Walker()
    folders = _classes(part)
    try:
        walker.outside(part)
        found = walker.walk([folders.get(name, []) for name in class_names])
    except OSError as error:
        raise UserError(f"cannot read {error.filename or part}: {error.strerror or error}") from None
    for name, paths in zip(class_names, found, strict=True):
        if not paths:
            raise UserError(
                f"{part / name} has no picture; expected files whose names end in one of {', '.join(SUFFIXES)}"
            )
    return [(path, number) for number, paths in enumerate(found) for path in paths], walker.passed_over


def _check_alike(path: Path, picture: Image, first_path: Path, first: Image) -> None:
    if picture.mode != first.mode:
        raise UserError(
            f"{path} is {_KINDS[picture.mode]} and {first_path} is {_KINDS[first.mode]}: make them alike, or write "
            "folder:PATH[channels=1] for grey or [channels=3] for colour"
        )
    if picture.size != first.size:
        raise UserError(
            f"{path} has {picture.width} x {picture.height} pixels and {first_path} {first.width} x {first.height}: "
            "make them alike, or write folder:PATH[size=32] to have all resized"
        )
