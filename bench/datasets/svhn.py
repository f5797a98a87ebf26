"""`svhn`: house numbers photographed in the street, 32x32 colour, in MATLAB files (the cropped digits)."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources
from bench.errors import UserError

_FOLDERS = ("SVHN", "svhn")
MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
"""The published MD5 sums, as in `torchvision.datasets.SVHN.split_list` (a test compares)."""


@register(
    "svhn",
    summary="73,257 + 26,032 digits of house numbers, 32x32 colour",
    class_names=tuple("0123456789"),
    # "paper" is inferred from CIFAR-10's: the paper does not use this data set.
    epochs={"quick": 2, "standard": 10, "paper": 150},
)
def load_svhn(data_dir: Path | None) -> RawData:
    """Load SVHN's cropped digits, (N, 3, 32, 32), without the extra part, from MATLAB files or a download of them.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(
        data_dir,
        Recipe(
            title="SVHN",
            read=read_svhn,
            fetch=_fetch,
            downloaded_folder=_FOLDERS[0],
            advice=(
                f"put {' and '.join(MD5)} into a folder, and name that with --data-dir or the environment variable "
                f"{DATA_VARIABLE}"
            ),
        ),
    )


def read_svhn(root: Path) -> RawData | None:
    """Read SVHN from a data folder or a folder `SVHN` in it, or return None if neither holds any of its files.

    Raises:
        UserError: one of the two files is missing, damaged, or not SVHN's.
    """
    from bench.datasets.formats.svhn import read_mat_files

    places = [(folder, f"MATLAB files in {label}") for folder, label in folders_named(root, _FOLDERS)]
    for folder, source in (*places, (root, "MATLAB files")):  # torchvision puts them into the folder itself
        if any((folder / name).is_file() for name in MD5):
            for name in MD5:
                if not (folder / name).is_file():
                    raise UserError(f"{folder / name} is missing; SVHN is two files, {' and '.join(MD5)}")
            return read_mat_files({folder / name: md5 for name, md5 in MD5.items()}, source)
    return None


def _fetch(folder: Path) -> None:
    """Download the two files: torchvision's class would load each of them, too."""
    from torchvision.datasets import SVHN
    from torchvision.datasets.utils import download_url

    for url, name, md5 in (SVHN.split_list["train"], SVHN.split_list["test"]):
        download_url(url, folder / _FOLDERS[0], name, md5)
