"""`emnist`: EMNIST's balanced part, handwritten digits and letters, 28x28 grey, in IDX files."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.formats.idx import IdxFile

_TRAIN_IMAGES, _TEST_IMAGES = 112_800, 18_800
_CLASS_NAMES = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
"""Letters whose capital and small forms look alike are one class (Cohen et al. 2017, arXiv 1702.05373, section II)."""
_FOLDERS = ("EMNIST", "emnist")
"""Names of a folder that holds its files; the first one is torchvision's."""
_FILES = tuple(
    f"emnist-balanced-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
)
_ARCHIVE = "gzip.zip"
"""As published: all of EMNIST's parts, gzipped, in a folder `gzip`."""
ARCHIVE_MD5 = "58c8d27c78d21e728a6bc7b3cc06412e"
"""As in `torchvision.datasets.EMNIST.md5` (a test compares). Nothing is published for the files in it."""


@register(
    "emnist",
    summary="112,800 + 18,800 handwritten digits and letters (EMNIST balanced), 28x28 grey",
    class_names=_CLASS_NAMES,
    # "paper" is inferred from MNIST's: the paper does not use this data set.
    epochs={"quick": 2, "standard": 10, "paper": 100},
)
def load_emnist(data_dir: Path | None) -> RawData:
    """Load EMNIST balanced, (N, 1, 28, 28), from its archive, from IDX files, or from a download of the archive.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    folder = f"{_FOLDERS[0]}/raw"
    return load_from_sources(
        data_dir,
        Recipe(
            title="EMNIST",
            read=read_emnist,
            fetch=_fetch,
            downloaded_folder=_FOLDERS[0],
            advice=(
                f"put {_ARCHIVE} or its four files {_FILES[0]}.gz, ... into a folder {folder}, and name the folder "
                f"above {_FOLDERS[0]} with --data-dir or the environment variable {DATA_VARIABLE}"
            ),
        ),
    )


def read_emnist(root: Path) -> RawData | None:
    """Read EMNIST balanced from the first folder under `root` that holds its archive or any of its files.

    Returns:
        None where there is no such folder.

    Raises:
        UserError: the archive is damaged, the folder lacks a file, or a file is damaged or not EMNIST's.
    """
    from bench.datasets.formats.idx import read_parts

    for folder, label in folders_named(root, _FOLDERS):
        if (folder / _ARCHIVE).is_file():
            return _from_archive(folder / _ARCHIVE, f"{label}/{_ARCHIVE}")
        files = read_parts(folder, _FILES, "EMNIST balanced")
        if files is not None:
            return _raw_data(files, f"IDX files in {label}", verified=None)
    return None


def _from_archive(path: Path, label: str) -> RawData:
    import zipfile

    from bench.datasets.formats.checksums import md5_of
    from bench.datasets.formats.idx import dimensions_of, read_idx

    files = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in _FILES:
                member = f"gzip/{name}.gz"
                with archive.open(member) as stream:
                    files.append(read_idx(path / member, ndim=dimensions_of(name), stream=stream))
    except KeyError:
        raise UserError(f"{path} holds no {member}; expected the archive of all of EMNIST, as published") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is not a sound zip archive ({error}); replace it with a complete copy") from None
    return _raw_data(files, f"archive {label}", verified=md5_of(path) == ARCHIVE_MD5)


def _raw_data(files: list[IdxFile], source: str, verified: bool | None) -> RawData:
    """The four files' images, turned upright: in the files, columns come where rows do elsewhere."""
    import numpy as np

    from bench.datasets.formats.idx import paired

    train_images, train_labels, test_images, test_labels = files
    num_classes = len(_CLASS_NAMES)
    x_train, y_train = paired(train_images, train_labels, title="EMNIST", num_classes=num_classes)
    x_test, y_test = paired(test_images, test_labels, title="EMNIST", num_classes=num_classes)
    return RawData(
        x_train=np.ascontiguousarray(x_train.swapaxes(2, 3)),
        y_train=y_train,
        x_test=np.ascontiguousarray(x_test.swapaxes(2, 3)),
        y_test=y_test,
        source=source,
        verified=verified,
        partial=len(x_train) < _TRAIN_IMAGES or len(x_test) < _TEST_IMAGES,
    )


def _fetch(folder: Path) -> None:
    """Download the archive alone: torchvision would unpack all of EMNIST's parts beside it, 2 GB."""
    from torchvision.datasets import EMNIST
    from torchvision.datasets.utils import download_url

    download_url(EMNIST.url, folder / _FOLDERS[0] / "raw", _ARCHIVE, ARCHIVE_MD5)
