"""`mnist` and `fashion-mnist`: 28x28 grey images in IDX files, with the same file names in both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.datasets.formats.idx import IdxFile

_TRAIN_IMAGES, _TEST_IMAGES = 60_000, 10_000
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True)
class Family:
    """What tells one data set of the family from another."""

    title: str
    class_names: tuple[str, ...]
    folder_names: tuple[str, ...]
    """Names of a folder that holds its files; the first one is torchvision's."""
    sha256: Mapping[str, str]
    """SHA-256 of the *unpacked* files, by file name.

    Published are MD5 sums of the gzipped ones, but the same contents gzipped again (as Debian does) no longer match
    those. These are the sums of the contents of files that do match.
    """
    debian_package: str | None = None


MNIST = Family(
    title="MNIST",
    class_names=tuple("0123456789"),
    folder_names=("MNIST", "mnist"),
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)
FASHION_MNIST = Family(
    title="Fashion-MNIST",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    folder_names=("FashionMNIST", "fashion-mnist", "fashion_mnist"),
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    debian_package="dataset-fashion-mnist",
)
FAMILIES = (MNIST, FASHION_MNIST)


@register(
    "mnist",
    summary="60,000 + 10,000 handwritten digits, 28x28 grey",
    class_names=MNIST.class_names,
    epochs={"quick": 1, "standard": 7, "paper": 100},
)
def load_mnist(data_dir: Path | None) -> RawData:
    """Load MNIST, (N, 1, 28, 28), from IDX files or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(MNIST))


@register(
    "fashion-mnist",
    summary="60,000 + 10,000 pictures of clothes, 28x28 grey",
    class_names=FASHION_MNIST.class_names,
    # "paper" is inferred from MNIST's: the paper does not use this data set.
    epochs={"quick": 2, "standard": 10, "paper": 100},
)
def load_fashion_mnist(data_dir: Path | None) -> RawData:
    """Load Fashion-MNIST, (N, 1, 28, 28), from IDX files (Debian's package included) or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(FASHION_MNIST))


def _recipe(family: Family) -> Recipe:
    first = family.folder_names[0]
    advice = (
        f"put its four files ({_FILES[0]}.gz, ...) into a folder {first}/raw, and name the folder above {first} with "
        f"--data-dir or the environment variable {DATA_VARIABLE}"
    )
    if family.debian_package:
        advice += f", or install Debian's package {family.debian_package}"
    return Recipe(family.title, lambda root: read_family(root, family), first, first, advice)


def read_family(root: Path, family: Family) -> RawData | None:
    """Read a data set of the family from the first folder under `root` that holds any of its files, or return None.

    Raises:
        UserError: that folder lacks a file, or a file is damaged or not this data set's.
    """
    from bench.datasets.formats.idx import find_idx, read_idx

    for folder, label in folders_named(root, family.folder_names):
        paths = {name: find_idx(folder, name) for name in _FILES}
        if not any(paths.values()):
            continue
        files = {}
        for name, path in paths.items():
            if path is None:
                raise UserError(f"{folder / name}.gz is missing; {family.title} is four files: {', '.join(_FILES)}")
            files[name] = read_idx(path, ndim=3 if "images" in name else 1)
        _refuse_other_family(files, family)
        train_images, train_labels, test_images, test_labels = files.values()
        x_train, y_train = _part(train_images, train_labels, family)
        x_test, y_test = _part(test_images, test_labels, family)
        return RawData(
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            source=f"IDX files in {label}",
            verified={name: file.sha256 for name, file in files.items()} == family.sha256,
            partial=len(x_train) < _TRAIN_IMAGES or len(x_test) < _TEST_IMAGES,
        )
    return None


def _part(images: IdxFile, labels: IdxFile, family: Family) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Check one part (training or test) and return images (N, 1, 28, 28) and labels (N,)."""
    from bench.datasets.formats.labels import check_every_class, checked_labels

    if images.values.shape[1:] != (28, 28):
        size = " x ".join(map(str, images.values.shape[1:]))
        raise UserError(f"{images.path} holds images of {size} pixels; those of {family.title} are 28 x 28")
    num_classes, where = len(family.class_names), str(labels.path)
    y = checked_labels(labels.values, images=len(images.values), num_classes=num_classes, where=where)
    check_every_class(y, num_classes=num_classes, where=where)
    return images.values[:, None], y


def _refuse_other_family(files: Mapping[str, IdxFile], family: Family) -> None:
    """Refuse another data set's published files, put where this one's belong."""
    for other in FAMILIES:
        for name, file in files.items():
            if other is not family and file.sha256 == other.sha256[name]:
                raise UserError(
                    f"{file.path} is {other.title}'s file; expected {family.title} in a folder of this name"
                )
