"""`svhn`: house numbers photographed in the street, 32x32 colour, in MATLAB files (the cropped digits).

Source: the data set's page, http://ufldl.stanford.edu/housenumbers/. Each file has `X`, the images, and `y`, the
digits; 0 has the label 10 there, and in some copies 0. torchvision's reader refuses files that are not the published
ones, such as a part of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.datasets.registry import register
from bench.datasets.sources import Form, Part, Published, md5_of
from bench.errors import UserError

_FOLDERS = ("SVHN", "svhn")
MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
"""The published MD5 sums, as in `torchvision.datasets.SVHN.split_list` (a test compares)."""


def _read(paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
    train, test = map(_read_part, paths)
    return train, test, all(md5_of(path) == MD5[path.name] for path in paths)


def _read_part(path: Path) -> Part:
    """Images (N, 3, 32, 32) and labels (N,) of one file."""
    import numpy as np
    import scipy.io

    from bench.datasets.formats.labels import check_every_class, checked_labels
    from bench.datasets.formats.npz import describe

    try:
        found = scipy.io.loadmat(path, appendmat=False, variable_names=("X", "y"))
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # a damaged file can raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path} is not a sound MATLAB file of version 5 ({reason}); replace it") from None
    for name in ("X", "y"):
        if name not in found:
            raise UserError(f"{path} has no {name}; expected X, the images, and y, the digits")
    images, labels = found["X"], found["y"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise UserError(f"X in {path} is {describe(images)}; expected uint8 of shape (32, 32, 3, N), colour images")
    digits = checked_labels(labels.reshape(-1), images=images.shape[3], num_classes=11, where=str(path))
    digits[digits == 10] = 0
    check_every_class(digits, num_classes=10, where=str(path))
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), digits


def _fetch(folder: Path) -> None:
    """Download the two files: torchvision's class would load each of them, too."""
    from torchvision.datasets import SVHN
    from torchvision.datasets.utils import download_url

    for url, name, md5 in (SVHN.split_list["train"], SVHN.split_list["test"]):
        download_url(url, folder / _FOLDERS[0], name, md5)


PUBLISHED = Published(
    title="SVHN",
    images=(73_257, 26_032),
    forms=(
        Form("MATLAB files in {folder}", tuple(MD5), _read, _FOLDERS),
        Form("MATLAB files", tuple(MD5), _read),  # torchvision puts them into the data folder itself
    ),
    fetch=_fetch,
    folder=_FOLDERS[0],
    advice=f"put {' and '.join(MD5)} into a folder, and name that",
)
register(
    "svhn",
    summary="73,257 + 26,032 digits of house numbers, 32x32 colour",
    class_names=tuple("0123456789"),
    epochs={"quick": 2, "standard": 10, "paper": 150},  # "paper" is inferred from CIFAR-10's: it is not in the paper
)(PUBLISHED.load)
