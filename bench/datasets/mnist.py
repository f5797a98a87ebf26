"""`mnist`, `fashion-mnist` and `kmnist`: 28x28 grey images in IDX files, with the same file names in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.download import by_class
from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources
from bench.errors import UserError

if TYPE_CHECKING:
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
    torchvision_class: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the *unpacked* files, by file name.

    Published are MD5 sums of the gzipped ones, but the same contents gzipped again (as Debian does) no longer match
    those. These are the sums of the contents of files that do match.
    """
    gzip_md5: Mapping[str, str] = field(default_factory=dict)
    """The published MD5 sums of the gzipped files, by the name of the unpacked one, where there is no `sha256`."""
    debian_package: str | None = None

    def is_published(self, name: str, file: IdxFile) -> bool | None:
        """Whether this is the published file of that name; None where nothing is published for this form of it."""
        if self.sha256:
            return file.sha256 == self.sha256[name]
        return file.gzip_md5 == self.gzip_md5[name] if file.gzip_md5 else None


MNIST = Family(
    title="MNIST",
    class_names=tuple("0123456789"),
    folder_names=("MNIST", "mnist"),
    torchvision_class="MNIST",
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
    torchvision_class="FashionMNIST",
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    debian_package="dataset-fashion-mnist",
)
KMNIST = Family(
    title="KMNIST",
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    folder_names=("KMNIST", "kmnist"),
    torchvision_class="KMNIST",
    gzip_md5={
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    },
)
"""The checksums are those of `torchvision.datasets.KMNIST.resources` (a test compares)."""
FAMILIES = (MNIST, FASHION_MNIST, KMNIST)


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
    flip=True,
)
def load_fashion_mnist(data_dir: Path | None) -> RawData:
    """Load Fashion-MNIST, (N, 1, 28, 28), from IDX files (Debian's package included) or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(FASHION_MNIST))


@register(
    "kmnist",
    summary="60,000 + 10,000 handwritten Japanese syllables, 28x28 grey",
    class_names=KMNIST.class_names,
    # "paper" is inferred from MNIST's: the paper does not use this data set.
    epochs={"quick": 2, "standard": 10, "paper": 100},
)
def load_kmnist(data_dir: Path | None) -> RawData:
    """Load KMNIST (Kuzushiji-MNIST), (N, 1, 28, 28), from IDX files or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(KMNIST))


def _recipe(family: Family) -> Recipe:
    first = family.folder_names[0]
    advice = (
        f"put its four files ({_FILES[0]}.gz, ...) into a folder {first}/raw, and name the folder above {first} with "
        f"--data-dir or the environment variable {DATA_VARIABLE}"
    )
    if family.debian_package:
        advice += f", or install Debian's package {family.debian_package}"
    return Recipe(
        family.title, lambda root: read_family(root, family), by_class(family.torchvision_class), first, advice
    )


def read_family(root: Path, family: Family) -> RawData | None:
    """Read a data set of the family from the first folder under `root` that holds any of its files, or return None.

    Raises:
        UserError: that folder lacks a file, or a file is damaged or not this data set's.
    """
    from bench.datasets.formats.idx import paired, read_parts

    for folder, label in folders_named(root, family.folder_names):
        files = read_parts(folder, _FILES, family.title)
        if files is None:
            continue
        _refuse_other_family(files, family)
        train_images, train_labels, test_images, test_labels = files
        num_classes = len(family.class_names)
        x_train, y_train = paired(train_images, train_labels, title=family.title, num_classes=num_classes)
        x_test, y_test = paired(test_images, test_labels, title=family.title, num_classes=num_classes)
        return RawData(
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            source=f"IDX files in {label}",
            verified=_all_published(
                {family.is_published(name, file) for name, file in zip(_FILES, files, strict=True)}
            ),
            partial=len(x_train) < _TRAIN_IMAGES or len(x_test) < _TEST_IMAGES,
        )
    return None


def _all_published(files: set[bool | None]) -> bool | None:
    """Of all files together: one that differs decides, then one of which nothing is known."""
    return False if False in files else None if None in files else True


def _refuse_other_family(files: Sequence[IdxFile], family: Family) -> None:
    """Refuse another data set's published files, put where this one's belong."""
    for other in FAMILIES:
        for name, file in zip(_FILES, files, strict=True):
            if other is not family and other.is_published(name, file):
                raise UserError(
                    f"{file.path} is {other.title}'s file; expected {family.title} in a folder of this name"
                )
