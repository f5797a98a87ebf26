"""`folder:PATH`: any pictures, in torchvision's ImageFolder layout: PATH/train/CLASS/*.png, PATH/test/CLASS/*.png.

With a third part, PATH/val/CLASS/*.png, beside these, that is the validation part. The parts may have other names that
are in use (`located.PART_NAMES`). Where there is no test part, `folder:PATH[test=0.2]` draws one, a fifth of each
class's pictures, from PATH/train/CLASS or, if there are no parts at all, from PATH/CLASS.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.formats.pictures import SUFFIXES, Walker, class_folders, is_class, is_system
from bench.datasets.located import EPOCHS, PART_NAMES, check_text, locate
from bench.datasets.registry import Dataset, RawData, register_scheme
from bench.errors import UserError
from methods.core.options import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

EXPECTED = "expected pictures in train/CLASS/ and test/CLASS/ (or val/CLASS/)"
DRAW = (
    "or write folder:PATH[test=0.2] to have a fifth of each class drawn as the test part, from CLASS/ or train/CLASS/"
)
TEST_SEED = 0
"""Of that draw: the same names give the same parts everywhere."""
MAX_SIDE = 1024
MAX_BYTES = 2**30
"""Of all pictures when decoded, at their own size."""
_KINDS = {"L": "grey", "RGB": "in colour"}


@dataclass(frozen=True)
class FolderOptions(Options):
    """What may be in brackets after the path."""

    size: int | None = None
    """Pixels of a side: every picture is stretched to a square of that size; None: all must have the same size."""
    channels: int | None = None
    """1: all pictures are turned into grey; 3: into colour; None: all must be grey, or all in colour."""
    test: float | None = None
    """Share of each class's pictures to draw as the test part; None: the folder has one."""
    flip: bool = False
    """As `Dataset.flip`."""

    def __post_init__(self) -> None:
        self.require(self.size is None or 1 <= self.size <= MAX_SIDE, "size", f"from 1 to {MAX_SIDE} pixels")
        self.require(self.channels in (None, 1, 3), "channels", "1 (grey) or 3 (colour)")
        self.require(self.test is None or 0.01 <= self.test <= 0.9, "test", "a share from 0.01 to 0.9")


@register_scheme(
    "folder",
    usage="folder:PATH[size=32]",
    summary="pictures of your own in folders below PATH, train/CLASS/ and test/CLASS/, or CLASS/ with [test=0.2]",
)
def open_folder(text: str) -> Dataset:
    """Make a data set of folders of pictures; the folders are listed, no picture is read.

    Raises:
        UserError: the name cannot be used, a folder is missing or empty, or the parts do not have the same classes.
    """
    place = locate("folder", text, FolderOptions)
    parts = _parts(place.path, place.options.test)
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
        return _read(place.path, parts, class_names, place.options)

    return Dataset(place.name, f"the pictures in {place.path}", class_names, load, EPOCHS, place.options.flip)


def _parts(place: Path, test: float | None) -> list[Path]:
    """The folders of the training part, the test part and, if there is one, the validation part.

    If a test part is to be drawn, the one folder to draw it from. A class may then be called `train`, too.
    """
    found: dict[str, Path] = {}
    try:
        folders = [entry for entry in sorted(place.iterdir()) if entry.is_dir()]
        others = [entry for entry in folders if entry.name.lower() not in PART_NAMES and not is_system(entry.name)]
        are_classes = test is not None and any(map(is_class, others))
        for entry in folders:
            part = PART_NAMES.get(entry.name.lower())
            if part is None or (are_classes and is_class(entry)):
                continue
            if part in found:
                raise UserError(f"{found[part]} and {entry} may both be the {part} part; expected one of them")
            found[part] = entry
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror or error}); {EXPECTED} in it") from None
    if test is not None:
        if given := found.get("test", found.get("val")):
            raise UserError(f"{given} is a test part, so test={test:g} is not accepted: leave one of them out")
        return [found.get("train", place)]
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    for name in ("train", "test"):
        if name not in found:
            raise UserError(f"{place / name} is missing; {EXPECTED}{'' if 'test' in found else f', {DRAW}'}")
    return [found[name] for name in ("train", "test", "val") if name in found]


def _classes(part: Path) -> dict[str, list[Path]]:
    """The folders of one part by class name, sorted."""
    try:
        found = class_folders(part)
    except OSError as error:
        raise UserError(f"{part} cannot be read ({error.strerror or error}); {EXPECTED}") from None
    if not found:
        raise UserError(f"{part} has no folders; expected one for each class, with its pictures in it")
    for name in found:
        check_text(name, f"the name of a class in {part},")
    return found


def _read(place: Path, parts: Sequence[Path], class_names: Sequence[str], options: FolderOptions) -> RawData:
    """Read all pictures of the parts, in the order of their names, and draw the test part if there is none.

    Raises:
        UserError: pictures cannot be read or are too large, a class has none, or pictures differ in size or kind.
    """
    import numpy as np

    from bench.datasets.formats.decoded import read_pictures
    from bench.datasets.formats.image_file import has_several_frames, read_picture, stretched

    passed_over = Counter[str]()
    listed = []
    for part in parts:
        found, left = _list(part, class_names)
        listed.append(found)
        passed_over += left
    if parts != [place]:
        passed_over += _beside(parts)
    source = "folders of pictures"
    if options.test is not None:
        listed = _drawn(listed[0], options.test)
        source += f"; {options.test:g} of each class drawn as the test part (seed {TEST_SEED})"
    first: tuple[Path, Image] | None = None

    def decode(path: Path, total: int) -> NDArray[np.uint8]:
        nonlocal first
        picture = read_picture(path, options.channels)
        if options.size is not None:
            picture = stretched(picture, (options.size, options.size))
        if first is None:
            first = path, picture
            _check_room(picture, total, options)
        _check_alike(path, picture, *first)
        return np.asarray(picture).reshape(picture.height, picture.width, -1).transpose(2, 0, 1)

    name = f"{place} size={options.size} channels={options.channels}"
    images = read_pictures([[path for path, _ in found] for found in listed], name, decode)
    labels = [np.array([number for _, number in found], dtype=np.int64) for found in listed]
    x_val, y_val = (images[2], labels[2]) if len(listed) == 3 else (None, None)
    return RawData(
        images[0],
        labels[0],
        images[1],
        labels[1],
        source,
        verified=None,
        partial=False,
        x_val=x_val,
        y_val=y_val,
        passed_over=dict(passed_over),
        several_frames=sum(has_several_frames(path) for found in listed for path, _ in found),
    )


def _drawn(found: Sequence[tuple[Path, int]], share: float) -> list[list[tuple[Path, int]]]:
    """The pictures of the training and the test part, in their order."""
    import numpy as np

    from bench.datasets.sampling import hold_out

    labels = np.array([number for _, number in found], dtype=np.int64)
    one_in = 1 / Fraction(share).limit_denominator(10_000)
    test, train = hold_out(labels, one_in=one_in, seed=TEST_SEED, purpose="test part of a folder")
    return [[found[index] for index in np.sort(part)] for part in (train, test)]


def _beside(parts: Sequence[Path]) -> Counter[str]:
    walker = Walker()
    with contextlib.suppress(OSError):
        walker.beside(parts)
    return walker.passed_over


def _check_room(picture: Image, total: int, options: FolderOptions) -> None:
    """Refuse photographs at their own size, which nobody means to train on."""
    size = total * picture.width * picture.height * len(picture.getbands())
    if options.size is None and size > MAX_BYTES:
        raise UserError(
            f"{total:,} pictures of {picture.width} x {picture.height} pixels are {size / 1e9:.1f} GB when decoded: "
            "write folder:PATH[size=32] to have them resized"
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
