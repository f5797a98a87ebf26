import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.datasets import emnist, get
from bench.errors import UserError
from tests.bench.datasets import files

load = get("emnist").load


@pytest.fixture
def folder(root: Path) -> Path:
    made = root / "EMNIST" / "raw"
    made.mkdir(parents=True)
    return made


def test_classes_are_torchvisions() -> None:
    from torchvision.datasets import EMNIST

    assert list(get("emnist").class_names) == EMNIST.classes_split_dict["balanced"]
    assert EMNIST.md5 == emnist.ARCHIVE_MD5


@pytest.mark.parametrize(
    ("write", "source"),
    [
        (files.write_emnist_archive, "archive EMNIST/raw/gzip.zip (data folder)"),
        (files.write_emnist_files, "IDX files in EMNIST/raw (data folder)"),
        (
            lambda folder, data: files.write_emnist_files(folder, data, gz=False),
            "IDX files in EMNIST/raw (data folder)",
        ),
    ],
)
def test_every_form_gives_the_same_upright_images(
    write: Callable[[Path, files.Arrays], None], source: str, folder: Path, root: Path
) -> None:
    data = files.letters()
    write(folder, data)
    raw = load(root)
    for loaded, written in zip((raw.x_train, raw.y_train, raw.x_test, raw.y_test), data, strict=True):
        assert np.array_equal(loaded, written)
    assert raw.source == source
    assert raw.partial


def test_the_archive_is_verified(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_emnist_archive(folder, files.letters())
    assert load(root).verified is False
    monkeypatch.setattr(emnist, "ARCHIVE_MD5", hashlib.md5((folder / "gzip.zip").read_bytes()).hexdigest())
    assert load(root).verified is True


def test_nothing_is_published_for_the_single_files(folder: Path, root: Path) -> None:
    files.write_emnist_files(folder, files.letters())
    assert load(root).verified is None


def test_an_archive_that_was_cut_short_is_never_taken_for_the_data_set(folder: Path, root: Path) -> None:
    files.write_emnist_archive(folder, files.letters())
    whole = (folder / "gzip.zip").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        (folder / "gzip.zip").write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"gzip\.zip is not a sound zip archive"):
            load(root)


def test_a_flipped_bit_in_the_archive_is_noticed(folder: Path, root: Path) -> None:
    files.write_emnist_archive(folder, files.letters())
    data = bytearray((folder / "gzip.zip").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / "gzip.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"gzip\.zip"):
        load(root)


def test_an_archive_of_something_else_is_named(folder: Path, root: Path) -> None:
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(UserError, match=r"gzip\.zip has no gzip/emnist-balanced-train-images-idx3-ubyte\.gz"):
        load(root)


def test_a_missing_file_is_named(folder: Path, root: Path) -> None:
    files.write_emnist_files(folder, files.letters())
    (folder / "emnist-balanced-test-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"emnist-balanced-test-labels-idx1-ubyte\.gz is missing; EMNIST balanced is 4"):
        load(root)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (files.grey, "train-labels-idx1-ubyte.gz has no image of class 10; each of the 47 classes needs one"),
        (lambda: files.grey(num_classes=48), "has the label 47; labels are 0 to 46"),
        (
            lambda: files.arrays((1, 20, 20), num_classes=47),
            "has images of 20 x 20 pixels; those of EMNIST are 28 x 28",
        ),
    ],
)
def test_wrong_contents_are_named(make: Callable[[], files.Arrays], message: str, folder: Path, root: Path) -> None:
    files.write_emnist_files(folder, make())
    with pytest.raises(UserError, match=message):
        load(root)


def test_a_download_is_of_the_archive_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import utils

    asked: list[tuple[str, Path]] = []
    monkeypatch.setattr(utils, "download_url", lambda url, folder, name, md5: asked.append((url, folder / name)))
    emnist.PUBLISHED.fetch(tmp_path)
    assert asked == [("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip", tmp_path / "EMNIST" / "raw" / "gzip.zip")]
