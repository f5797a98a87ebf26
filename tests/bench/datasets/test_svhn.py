import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from bench.datasets import get, svhn
from bench.errors import UserError
from tests.bench.datasets import files

load = get("svhn").load


@pytest.fixture
def folder(root: Path) -> Path:
    """With the two files of a small SVHN in it."""
    files.write_svhn(root / "SVHN", files.colour())
    return root / "SVHN"


@pytest.mark.parametrize(
    ("place", "source"), [("SVHN", "MATLAB files in SVHN"), ("svhn", "MATLAB files in svhn"), (".", "MATLAB files")]
)
def test_images_and_digits(place: str, source: str, root: Path) -> None:
    data = files.colour()
    files.write_svhn(root / place, data)
    raw = load(root)
    for loaded, written in zip((raw.x_train, raw.y_train, raw.x_test, raw.y_test), data, strict=True):
        assert np.array_equal(loaded, written)
    assert raw.source == f"{source} (data folder)"
    assert raw.partial
    assert raw.verified is False


def test_the_digit_0_may_have_the_label_0(folder: Path, root: Path) -> None:
    x_train, y_train, *_ = files.colour()
    assert scipy.io.loadmat(folder / "train_32x32.mat")["y"].min() == 1
    write(folder / "train_32x32.mat", X=x_train.transpose(2, 3, 1, 0), y=y_train.astype(np.uint8)[:, None])
    assert np.array_equal(load(root).y_train, y_train)


def test_verified(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(svhn, "MD5", {name: digests[name] for name in svhn.MD5})
    assert load(root).verified is True
    monkeypatch.setitem(svhn.MD5, "test_32x32.mat", "0" * 32)
    assert load(root).verified is False


def test_checksums_are_torchvisions() -> None:
    from torchvision.datasets import SVHN

    assert {name: md5 for _, name, md5 in SVHN.split_list.values() if not name.startswith("extra")} == svhn.MD5


def write(path: Path, **held: object) -> None:
    scipy.io.savemat(path, held)


X, Y = np.zeros((32, 32, 3, 10), np.uint8), np.arange(1, 11, dtype=np.uint8)[:, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), r"train_32x32\.mat is missing; SVHN is 2 files"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), r"train_32x32\.mat is not a sound MATLAB file"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), r"train_32x32\.mat is not a sound MATLAB file"),
        (lambda path: path.write_bytes(b""), r"train_32x32\.mat is not a sound MATLAB file"),
        (lambda path: path.write_bytes(pickle.dumps([1])), r"train_32x32\.mat is not a sound MATLAB file"),
        (lambda path: write(path, X=X), r"train_32x32\.mat has no y; expected X"),
        (lambda path: write(path, X=X[:, :, :1], y=Y), r"is uint8 of shape \(32, 32, 1, 10\); .* colour images"),
        (lambda path: write(path, X=X[:, :, 0], y=Y), r"is uint8 of shape \(32, 32, 10\)"),
        (lambda path: write(path, X=X * 1.0, y=Y), "is float64 of shape"),
        (lambda path: write(path, X=X, y=Y[:9]), "has 9 labels for 10 images"),
        (lambda path: write(path, X=X, y=Y + 1), "has the label 11; labels are 0 to 10"),
        (lambda path: write(path, X=X, y=Y * 0.5), "has labels of type float64"),
        (lambda path: write(path, X=X, y=np.maximum(Y, 2)), "has no image of class 1"),
    ],
)
def test_damaged_files_are_named(change: Callable[[Path], object], message: str, folder: Path, root: Path) -> None:
    change(folder / "train_32x32.mat")
    with pytest.raises(UserError, match=message) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def test_a_download_is_of_the_two_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import utils

    asked: list[tuple[Path, str]] = []
    monkeypatch.setattr(utils, "download_url", lambda url, folder, name, md5: asked.append((folder / name, md5)))
    svhn.PUBLISHED.fetch(tmp_path)
    assert asked == [(tmp_path / "SVHN" / name, md5) for name, md5 in svhn.MD5.items()]
