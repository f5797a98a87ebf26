"""`emnist`: EMNIST's balanced part, handwritten digits and letters, 28x28 grey, in IDX files."""

from __future__ import annotations

import string
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.registry import register
from bench.datasets.sources import Form, Part, Published, md5_of, spellings
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.formats.idx import IdxFile

_CLASS_NAMES = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
"""Letters whose capital and small forms look alike are one class (Cohen et al. 2017, arXiv 1702.05373, section II)."""
_FOLDERS = ("EMNIST", "emnist")
_FILES = tuple(
    f"emnist-balanced-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
)
_ARCHIVE = "gzip.zip"
"""As published: all of EMNIST's parts, gzipped, in a folder `gzip`."""
ARCHIVE_MD5 = "58c8d27c78d21e728a6bc7b3cc06412e"
"""As in `torchvision.datasets.EMNIST.md5` (a test compares). Nothing is published for the files in it."""


def _read_archive(paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
    from bench.datasets.formats.idx import read_idx

    (path,), files = paths, []
    try:
        with zipfile.ZipFile(path) as archive:
            for name, ndim in zip(_FILES, (3, 1, 3, 1), strict=True):
                member = f"gzip/{name}.gz"
                with archive.open(member) as stream:
                    files.append(read_idx(path / member, ndim=ndim, stream=stream))
    except KeyError:
        raise UserError(f"{path} has no {member}; expected the archive of all of EMNIST, as published") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is not a sound zip archive ({error}); replace it with a complete copy") from None
    return *_upright(files), md5_of(path) == ARCHIVE_MD5


def _read_files(paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
    from bench.datasets.formats.idx import read_parts

    return *_upright(read_parts(paths)), None


def _upright(files: Sequence[IdxFile]) -> tuple[Part, Part]:
    """The two parts, images turned upright: in the files, columns come where rows do elsewhere."""
    import numpy as np

    from bench.datasets.formats.idx import paired

    train, test = (
        (np.ascontiguousarray(images.swapaxes(2, 3)), labels)
        for images, labels in paired(files, title="EMNIST", num_classes=len(_CLASS_NAMES))
    )
    return train, test


def _fetch(folder: Path) -> None:
    """Download the archive alone: torchvision's class would unpack all of EMNIST's parts beside it, 2 GB."""
    from torchvision.datasets import EMNIST
    from torchvision.datasets.utils import download_url

    download_url(EMNIST.url, folder / _FOLDERS[0] / "raw", _ARCHIVE, ARCHIVE_MD5)


PUBLISHED = Published(
    title="EMNIST balanced",
    images=(112_800, 18_800),
    forms=(
        Form(f"archive {{folder}}/{_ARCHIVE}", (_ARCHIVE,), _read_archive, _FOLDERS),
        Form("IDX files in {folder}", _FILES, _read_files, _FOLDERS, (".gz", ""), spellings),
    ),
    fetch=_fetch,
    folder=_FOLDERS[0],
    advice=(
        f"put {_ARCHIVE} or its four files {_FILES[0]}.gz, ... into a folder {_FOLDERS[0]}/raw, and name the folder "
        f"above {_FOLDERS[0]}"
    ),
)
register(
    "emnist",
    summary="112,800 + 18,800 handwritten digits and letters (EMNIST balanced), 28x28 grey",
    class_names=_CLASS_NAMES,
    epochs={"quick": 2, "standard": 10, "paper": 100},  # "paper" is inferred from MNIST's: it is not in the paper
)(PUBLISHED.load)
