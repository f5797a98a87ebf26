"""`mnist`, `fashion-mnist` and `kmnist`: 28x28 grey images in IDX files, with the same file names in all three."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.registry import register
from bench.datasets.sources import Form, Part, Published, by_class, md5_of, spellings
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.formats.idx import IdxFile

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SHA256 = {
    "MNIST": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "Fashion-MNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
"""SHA-256 of the *unpacked* files.

Published are MD5 sums of the gzipped ones, but the same contents gzipped again (as Debian does) do not match those.
These are the sums of the contents of files that do match.
"""
GZIP_MD5 = {
    "KMNIST": {
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    }
}
"""The published MD5 sums of the gzipped files, as in `torchvision.datasets.KMNIST.resources` (a test compares)."""


def _read(title: str, paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
    """Read the four files; unless all are published ones, they are not, or nothing is known of some.

    Raises:
        UserError: a file is damaged, does not fit the others, or is another data set's.
    """
    from bench.datasets.formats.idx import paired, read_parts

    files = read_parts(paths)
    for other in {*SHA256, *GZIP_MD5} - {title}:
        for file in files:
            if _is_published(other, file):
                raise UserError(f"{file.path} is {other}'s file; expected {title} in a folder of this name")
    published = {_is_published(title, file) for file in files}
    verified = False if False in published else None if None in published else True
    return *paired(files, title=title, num_classes=10), verified


def _is_published(title: str, file: IdxFile) -> bool | None:
    """Whether this is the data set's file of that name; None if nothing is published for this form of it."""
    name = file.path.name.removesuffix(".gz").replace(".idx", "-idx")
    if title in SHA256:
        return file.sha256 == SHA256[title][name]
    return md5_of(file.path) == GZIP_MD5[title][name] if file.path.suffix == ".gz" else None


def _published(title: str, *folders: str, or_else: str = "") -> Published:
    """One of the three; the first of the folders' names is torchvision's, and that of its class."""
    return Published(
        title=title,
        images=(60_000, 10_000),
        forms=(Form("IDX files in {folder}", FILES, functools.partial(_read, title), folders, (".gz", ""), spellings),),
        fetch=by_class(folders[0]),
        folder=folders[0],
        advice=(
            f"{or_else}put its four files ({FILES[0]}.gz, ...) into a folder {folders[0]}/raw, and name the folder "
            f"above {folders[0]}"
        ),
    )


# Epochs: "paper" is inferred from MNIST's for the other two, which the paper does not use.
MNIST = _published("MNIST", "MNIST", "mnist")
register(
    "mnist",
    summary="60,000 + 10,000 handwritten digits, 28x28 grey",
    class_names=tuple("0123456789"),
    epochs={"quick": 1, "standard": 7, "paper": 100},
)(MNIST.load)

FASHION_MNIST = _published(
    "Fashion-MNIST",
    *("FashionMNIST", "fashion-mnist", "fashion_mnist"),
    or_else="install Debian's package dataset-fashion-mnist, or ",
)
register(
    "fashion-mnist",
    summary="60,000 + 10,000 pictures of clothes, 28x28 grey",
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    epochs={"quick": 2, "standard": 10, "paper": 100},
    flip=True,
)(FASHION_MNIST.load)

KMNIST = _published("KMNIST", "KMNIST", "kmnist")
register(
    "kmnist",
    summary="60,000 + 10,000 handwritten Japanese syllables, 28x28 grey",
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    epochs={"quick": 2, "standard": 10, "paper": 100},
)(KMNIST.load)
