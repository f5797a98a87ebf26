"""`npz:PATH`: any images, in a NumPy archive of x_train, y_train, x_test and y_test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.datasets.located import EPOCHS, locate
from bench.datasets.registry import Dataset, RawData, register_scheme
from methods.core.options import Options


@dataclass(frozen=True)
class NpzOptions(Options):
    """What may be in brackets after the path."""

    flip: bool = False
    """As `Dataset.flip`."""


@register_scheme(
    "npz",
    usage="npz:PATH",
    summary="images of your own, uint8, in a NumPy archive of x_train, y_train, x_test, y_test",
)
def open_npz(text: str) -> Dataset:
    """Make a data set of an archive; its labels, which must be 0 to K - 1, are read, its images are not.

    Raises:
        UserError: the name or the archive cannot be used, or its labels are not those of a data set.
    """
    from bench.datasets.formats.npz import count_classes, read_images

    place = locate("npz", text, NpzOptions)
    num_classes = count_classes(place.path)

    def load(data_dir: Path | None) -> RawData:
        return read_images(place.path, num_classes)

    class_names = tuple(map(str, range(num_classes)))
    return Dataset(place.name, f"the NumPy archive {place.path}", class_names, load, EPOCHS, place.options.flip)
