"""`folder:PATH`: any pictures, in torchvision's ImageFolder layout: PATH/train/CLASS/*.png, PATH/test/CLASS/*.png."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.datasets.located import EPOCHS, locate
from bench.datasets.registry import Dataset, RawData, register_scheme
from bench.errors import UserError
from bench.paths import is_dir
from methods.core.options import Options

TRAIN, TESTS = "train", ("test", "val")
"""Names of the folders of the two parts; of the test part's, the first that is there."""
MAX_SIDE = 1024


@dataclass(frozen=True)
class FolderOptions(Options):
    """What may stand in brackets."""

    size: int | None = None
    """Pixels of a side: every picture is stretched to a square of that size; None: all have one size already."""
    channels: int | None = None
    """1: all pictures are turned into grey; 3: into colour; None: all are of one kind already."""
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
    parts = (place.path / TRAIN, place.path / test)
    class_names, others = (_classes(part) for part in parts)
    for name in sorted({*class_names} ^ {*others}):
        here, missing = parts if name in class_names else parts[::-1]
        raise UserError(f"{here} has a class {name!r} and {missing} has not; expected the same classes in both parts")
    if len(class_names) < 2:
        raise UserError(f"{parts[0]} has one class, {class_names[0]!r}; expected at least 2")
    options = place.options

    def load(data_dir: Path | None) -> RawData:
        """Load the pictures, (N, C, H, W); the name says where they are, so `data_dir` is not used."""
        from bench.datasets.formats.folder import read_parts

        return read_parts(parts, class_names, size=options.size, channels=options.channels)

    return Dataset(
        name=place.name,
        summary=f"the pictures in {place.path}",
        class_names=class_names,
        load=load,
        epochs=EPOCHS,
        flip=options.flip,
    )


def _classes(part: Path) -> tuple[str, ...]:
    """The names of the folders of one part, sorted, those that begin with a dot left out."""
    try:
        names = sorted(entry.name for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
        raise UserError(
            f"{part} {reason}; expected pictures in {TRAIN}/CLASS/ and {' or '.join(TESTS)}/CLASS/"
        ) from None
    if not names:
        raise UserError(f"{part} holds no folders; expected one for each class, with its pictures in it")
    return tuple(names)
