"""Pictures are decoded once and kept; what cannot be kept or is damaged is decoded anew."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets import get, sources
from bench.datasets.formats import decoded, image_file
from tests.bench.datasets import files


@pytest.fixture
def place(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of small grey pictures, 10 + 4; whatever was decoded is worth keeping."""
    monkeypatch.setattr(decoded, "WORTH_SECONDS", 0)
    files.write_folders(root / "mine", files.arrays((1, 6, 9), num_classes=2))
    return root / "mine"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pictures that were decoded."""
    found: list[Path] = []
    original = image_file.read_picture

    def watched(path: Path, channels: int | None = None) -> Image.Image:
        found.append(path)
        return original(path, channels)

    monkeypatch.setattr(image_file, "read_picture", watched)
    return found


def load(place: Path, options: str = "") -> np.ndarray:
    raw = get(f"folder:{place}{options}").load(None)
    assert raw.y_train.tolist() == [0] * 5 + [1] * 5
    return np.concatenate([raw.x_train, raw.x_test])


def kept() -> list[Path]:
    return sorted(sources.cache_root().rglob("*"))


def test_pictures_are_decoded_once_for_each_choice_of_options(place: Path, read: list[Path]) -> None:
    first = load(place)
    assert np.array_equal(load(place), first)
    assert len(read) == 14
    assert load(place, "[size=4]").shape == (14, 1, 4, 4)
    assert len(read) == 28
    assert len(kept()) == 3, "the folder and a file for each"


def test_a_changed_picture_is_seen_even_if_its_size_and_time_are_as_before(place: Path, read: list[Path]) -> None:
    load(place)
    path = min((place / "train" / "class 0").glob("*.png"))
    before, data = path.stat(), bytearray(path.read_bytes())
    Image.fromarray(np.full((6, 9), 7, np.uint8)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (load(place)[0] == 7).all()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not (load(place)[0] == 7).all()
    assert len(kept()) == 2, "the newest alone is kept"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[:300] + b"?" + data[301:]]
)
def test_a_damaged_file_is_decoded_anew_and_replaced(damage: object, place: Path, read: list[Path]) -> None:
    first = load(place)
    path = kept()[-1]
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert np.array_equal(load(place), first)
    assert len(read) == 28
    load(place)
    assert len(read) == 28


def test_nothing_is_kept_if_told_so(place: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(decoded.VARIABLE, "0")
    load(place)
    load(place)
    assert len(read) == 28
    assert kept() == []


def test_a_cache_that_cannot_be_written_is_gone_without(
    place: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        load(place)
    assert [path.name for path in kept()] == ["decoded"]
    (sources.cache_root() / "decoded").rmdir()
    (sources.cache_root() / "decoded").touch()  # no folder can be made
    load(place)
    assert len(read) == 28


def test_progress_is_shown_once_decoding_takes_long(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load(place)
    assert capsys.readouterr().err == ""
    clock = iter(range(1000))
    monkeypatch.setattr(decoded.time, "monotonic", lambda: next(clock))
    load(place, "[size=5]")
    assert capsys.readouterr().err.splitlines()[0] == "reading pictures: 0 of 14"
