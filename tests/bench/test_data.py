"""`python -m bench.data`: what it prints and draws, and how it ends."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import data
from bench.datasets import mnist, sources
from bench.datasets.sources import Published
from reports.figures.samples import draw_samples, mosaic
from tests.bench.datasets import files
from tests.bench.harness import Ended, call, refused

Look = Callable[..., Ended]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Look:
    """Calls `bench.data.main` in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return lambda *arguments: call(data.main, "bench.data", arguments, monkeypatch, capsys)


def value(ended: Ended, name: str) -> str:
    """What stands beside a name."""
    (found,) = re.findall(rf"^{name}  +(.+)$", ended.out, re.MULTILINE)
    return str(found).strip()


def test_digits(look: Look) -> None:
    ended = look("digits")
    assert ended.code == 0
    assert ended.err == ""
    assert value(ended, "shape") == "1 x 8 x 8 (channels x height x width), 0 to 255"
    assert value(ended, "classes") == "10"
    assert value(ended, "checksums") == "none published"
    assert value(ended, "training").split() == ["1,293", "125", "(8)", "131", "(1)"]
    assert value(ended, "validation").split()[0] == "145"
    assert value(ended, "test").split()[0] == "359"
    assert value(ended, "1").split() == ["0.3052", "0.3758"]  # channel 1
    assert value(ended, "with --augment standard") == "shifts of up to 1 × 1 pixels"
    assert ended.out.splitlines()[-1] == "results/data/digits.png"
    with Image.open("results/data/digits.png") as picture:
        assert picture.format == "PNG"


def test_a_folder_of_pictures(look: Look, tmp_path: Path) -> None:
    files.write_folders(tmp_path / "work" / "mine", files.arrays((3, 9, 6), num_classes=3))
    ended = look("folder:mine[flip=true]", "--out", tmp_path / "new" / "mine.png")
    assert ended.code == 0
    assert value(ended, "data set") == f"folder:{tmp_path / 'work' / 'mine'}[flip=true]"
    assert value(ended, "shape").startswith("3 x 9 x 6 ")
    assert value(ended, "training").split() == ["12", "4", "(class", "0)", "4", "(class", "0)"]
    assert value(ended, "with --augment standard") == "shifts of up to 1 × 0 pixels, half of them mirrored"
    assert "published" not in ended.out
    assert (tmp_path / "new" / "mine.png").is_file()


def test_what_is_odd_is_said_and_does_not_stop_a_look(look: Look, tmp_path: Path) -> None:
    place = tmp_path / "work" / "mine"
    files.write_folders(place, files.arrays((1, 6, 9), num_classes=2))
    shutil.rmtree(place / "test")
    shutil.copytree(place / "train", place / "test")
    (place / "train" / "class 0" / "._0.png").touch()
    ended = look("folder:mine")
    assert ended.code == 0
    assert "- 1 file or array of its data passed over (hidden or system files: 1)" in ended.out
    assert "- 10 of 10 test images (100.0%) in the training or validation part too" in ended.out
    assert "- its smallest class has 4 training images, too few to learn it from" in ended.out


def add_checkpoint(one: Path, other: Path) -> None:
    (one / ".ipynb_checkpoints").mkdir()
    shutil.copy(next(one.glob("*.png")), one / ".ipynb_checkpoints" / "0-checkpoint.png")


def save_as_others_do(one: Path, other: Path) -> None:
    """Two pictures of the class."""
    for path, suffix, kind in zip(sorted(one.glob("*.png")), (".jfif", ".gif"), ("JPEG", "GIF"), strict=False):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(suffix), kind)
        path.unlink()


def add_thumbnail(one: Path, other: Path) -> None:
    (one / "thumbs").mkdir()
    first, second = sorted(one.glob("*.png"))[:2]
    shutil.copy(second, one / "thumbs" / first.name)


def copy_into_test_part(one: Path, other: Path) -> None:
    shutil.copy(next(one.glob("*.png")), one.parents[1] / "test" / one.name / "copy.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (add_checkpoint, "hidden or system files: 1"),
        (lambda one, other: (one / "._0.png").write_bytes(b"\0\5\26\7AppleDouble"), "hidden or system files: 1"),
        (save_as_others_do, ""),
        (lambda one, other: (one / "new.heic").touch(), ".heic files: 1"),
        (lambda one, other: (one / "myself").symlink_to(one), ""),
        (lambda one, other: (one / "other").symlink_to(other), "links to files that count elsewhere: "),
        (add_thumbnail, "thumbnails of other files: 1"),
        (copy_into_test_part, "1 of 5 test images (20.0%) in the training or validation part too"),
    ],
)
def test_each_picture_counts_once_and_what_is_odd_is_said(
    change: Callable[[Path, Path], None], said: str, look: Look, tmp_path: Path
) -> None:
    place = tmp_path / "work" / "mine"
    files.write_folders(place, files.arrays((1, 6, 9), num_classes=2))
    change(place / "train" / "class 0", place / "train" / "class 1")
    ended = look("folder:mine[channels=1]")
    assert ended.code == 0, ended.err
    assert value(ended, "training").split()[0] == "8", "of ten, one of each class is held out for validation"
    assert said in ended.out


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")],
)
def test_archives_as_keras_and_medmnist_write_them_are_read(names: list[str], look: Look, tmp_path: Path) -> None:
    x_train, y_train, x_test, y_test = files.colour(num_classes=3)
    arrays = zip(names, (x_train, y_train[:, None], x_test, y_test[:, None]), strict=True)
    np.savez(tmp_path / "work" / "mine.npz", **dict(arrays))
    ended = look("npz:mine.npz")
    assert ended.code == 0, ended.err
    assert value(ended, "classes") == "3"


def test_a_path_has_a_picture_with_a_plain_name(look: Look, tmp_path: Path) -> None:
    files.write_cifar_archive(tmp_path / "work", files.colour(num_classes=3), "mine.npz")
    ended = look("npz:mine.npz")
    assert ended.code == 0
    assert re.fullmatch(r"results/data/npz-mine-npz-[0-9a-f]{8}\.png", ended.out.splitlines()[-1])


def test_files_that_are_not_the_published_ones_end_in_1(look: Look, tmp_path: Path) -> None:
    files.write_svhn(tmp_path / "SVHN", files.colour())
    ended = look("svhn", "--data-dir", tmp_path)
    assert ended.code == 1
    assert value(ended, "checksums") == "do NOT match the published checksums"
    assert value(ended, "of the published set") == "a part"
    assert ended.lines == ["the files of svhn do not match the published checksums"]


def test_what_is_not_here_is_fetched_once_and_verified(
    look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images = files.grey()
    monkeypatch.setitem(mnist.SHA256, "MNIST", files.idx_digests(images))
    fetched: list[str] = []

    def fetch(wanted: Published, folder: Path) -> None:
        fetched.append(wanted.title)
        files.write_idx_files(folder / "MNIST" / "raw", images)

    monkeypatch.setattr(sources, "fetch", fetch)
    for _ in range(2):
        ended = look("mnist")
        assert ended.code == 0
        assert value(ended, "checksums") == "match the published checksums"
        assert value(ended, "source") == "IDX files in MNIST/raw (user cache)"
    assert fetched == ["MNIST"]


def test_what_cannot_be_used_is_one_sentence(look: Look, tmp_path: Path) -> None:
    refused(look("nope"), "'nope'", "cifar100, digits, emnist", "npz:PATH")
    ended = look("mnist")
    assert ended.code == 2
    assert ended.lines[0].startswith("downloading MNIST into ")
    assert "MNIST is not in" in ended.lines[1]
    refused(look("digits", "--data-dir", tmp_path / "nowhere"), "nowhere", "does not exist")
    refused(look("digits", "--out", "picture.jpg"), "picture.jpg", ".png")
    (tmp_path / "file").touch()
    ended = look("digits", "--out", tmp_path / "file" / "picture.png")
    assert ended.code == 2
    assert f"picture.png: {tmp_path / 'file'} is not a folder" in ended.err


def test_samples_lie_in_rows_by_class() -> None:
    """Two classes, one with fewer images than places, and gaps of a pixel."""
    images = np.arange(1, 4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 3), dtype=np.uint8)
    made = mosaic(images, np.array([1, 0, 1]), [0, 1, -1], samples=2)
    assert made.shape == (3 * 3 + 1, 2 * 4 + 1, 3)
    white = [255] * 9
    first = [255, 2, 2, 2, 255, 255, 255, 255, 255]
    second = [255, 1, 1, 1, 255, 3, 3, 3, 255]
    assert made[..., 0].tolist() == [white, first, first, white, second, second, *[white] * 4]
    assert (made == made[..., :1]).all()


def test_colours_stay_where_they_are() -> None:
    image = np.array([10, 20, 30], dtype=np.uint8).reshape(1, 3, 1, 1)
    assert mosaic(image, np.array([0]), [0], samples=1)[1, 1].tolist() == [10, 20, 30]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("classes", [2, 26, 130])
def test_names_of_any_kind_and_number_are_drawn(classes: int, tmp_path: Path) -> None:
    images = np.zeros((classes, 1, 6, 40), dtype=np.uint8)
    names = [f"$ {number} 日本 a_long name^ that goes on $" for number in range(classes)]
    draw_samples(images, np.arange(classes), names, tmp_path / "made.png", title="$x$")
    assert (tmp_path / "made.png").stat().st_size > 1000
