"""Folders of pictures as people have them: hidden copies, links, thumbnails, odd names and formats."""

import os
import shutil
import zlib
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image

from bench.datasets import RawData, get
from bench.datasets import folder as scheme
from bench.errors import UserError
from tests.bench.datasets import files


@pytest.fixture
def place(root: Path) -> Path:
    """Two classes of small grey pictures, 10 + 4."""
    files.write_folders(root / "mine", files.arrays((1, 6, 9), num_classes=2))
    return root / "mine"


def load(place: Path) -> RawData:
    return get(f"folder:{place}").load(None)


def counts(raw: RawData) -> tuple[int, int]:
    return len(raw.x_train), len(raw.x_test)


def test_hidden_and_system_files_are_passed_over_and_counted(place: Path) -> None:
    some = place / "train" / "class 0"
    first = next(some.glob("*.png"))
    for folder in (some / ".ipynb_checkpoints", some / "@eaDir" / "0.png", place / "train" / "__MACOSX"):
        folder.mkdir(parents=True)
        shutil.copy(first, folder / "0-checkpoint.png")
    (some / f"._{first.name}").write_bytes(b"\0\5\26\7AppleDouble")
    (place / "train" / ".DS_Store").touch()
    (some / "Thumbs.db").touch()
    raw = load(place)
    assert counts(raw) == (10, 4)
    assert raw.passed_over == {"hidden or system files": 6}


def test_what_cannot_be_read_is_counted_by_kind(place: Path) -> None:
    some = place / "train" / "class 1"
    for name in ("a.heic", "b.HEIC", "notes.txt", "README", "c.svg"):
        (some / name).touch()
    (place / "test" / "labels.csv").touch()
    (some / "gone.png").symlink_to("nowhere.png")
    assert load(place).passed_over == {
        ".heic files": 2,
        ".txt files": 1,
        ".svg files": 1,
        "files without an ending": 1,
        "files outside the folders of classes": 1,
        "broken links and other things that are no files": 1,
    }


@pytest.mark.parametrize(("ending", "shown"), [(b".b\xff", r".b\udcff files"), (b".\n\x1b[31m", r".\n\x1b[31m files")])
def test_endings_that_are_no_text_are_escaped(ending: bytes, shown: str, place: Path) -> None:
    Path(os.fsdecode(os.fsencode(place / "train" / "class 0" / "x") + ending)).touch()
    assert load(place).passed_over == {shown: 1}


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tiff"])
def test_pictures_of_several_frames_are_counted_and_the_first_is_read(suffix: str, place: Path) -> None:
    frames = [Image.fromarray(np.full((6, 9), value, np.uint8)) for value in (255, 0, 128)]
    frames[0].save(place / "train" / "class 0" / f"new{suffix}", save_all=True, append_images=frames[1:])
    raw = get(f"folder:{place}[channels=1]").load(None)
    assert raw.several_frames == 1
    assert (raw.x_train == 255).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".gif", ".GIF", ".pbm", ".tga", ".dib", ".apng", ".jp2"])
def test_pictures_of_many_formats_are_read(suffix: str, place: Path) -> None:
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".apng": "PNG", ".pbm": "PPM"}.get(suffix)
    path = place / "train" / "class 0" / f"new{suffix}"
    pixels = np.full((6, 9), 255, np.uint8)
    Image.fromarray(pixels).convert("1" if suffix == ".pbm" else "L").save(path, kind)
    raw = get(f"folder:{place}[channels=1]").load(None)
    assert counts(raw) == (11, 4)
    assert not raw.passed_over
    assert (raw.x_train == 255).all(axis=(1, 2, 3)).any()


def test_links_are_followed_once_and_each_file_counts_where_it_lies(place: Path) -> None:
    zero, one = place / "train" / "class 0", place / "train" / "class 1"
    (zero / "myself").symlink_to(zero)
    (zero / "up").symlink_to(place)
    (zero / "nowhere").symlink_to("nowhere")
    (zero / "other").symlink_to(one)
    (one / "again.png").symlink_to(next(one.glob("*.png")))
    os.link(next(zero.glob("*.png")), zero / "hard.png")
    pool = place.parent / "pool"
    pool.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((6, 9), 7, np.uint8)).save(pool / name)
    (one / "pool").symlink_to(pool)
    (zero / "a.png").symlink_to(pool / "a.png")
    raw = load(place)
    assert counts(raw) == (12, 4)
    assert raw.passed_over["links to files that count elsewhere"] >= 4
    assert raw.y_train.tolist().count(0) == 6, "its own five, and the first link to a file of the pool"


def test_a_class_may_be_a_link(place: Path) -> None:
    (place / "train" / "class 0").rename(place.parent / "elsewhere")
    (place / "train" / "class 0").symlink_to(place.parent / "elsewhere")
    assert counts(load(place)) == (10, 4)


def test_a_part_may_be_a_link_to_a_folder_beside_it(place: Path) -> None:
    (place / "test").rename(place / "split 2")
    (place / "test").symlink_to("split 2")
    raw = load(place)
    assert counts(raw) == (10, 4)
    assert not raw.passed_over


@pytest.mark.parametrize(
    "name", ["thumbs/{}.png", "Thumbnails/{}.png", "{}_thumb.png", "thumb-{}.png", "{}-150x150.png"]
)
def test_thumbnails_beside_their_pictures_are_passed_over(name: str, place: Path) -> None:
    some = place / "train" / "class 0"
    first = next(some.glob("*.png"))
    path = some / name.format(first.stem)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
    raw = load(place)
    assert counts(raw) == (10, 4)
    assert raw.passed_over == {"thumbnails of other files": 1}


def test_a_name_like_a_thumbnails_without_its_picture_is_a_picture(place: Path) -> None:
    some = place / "train" / "class 0"
    next(some.glob("*.png")).rename(some / "thumb_war.png")
    assert counts(load(place)) == (10, 4)


def test_names_equal_after_normalisation_are_one_class(place: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    (place / "train" / "class 0").rename(place / "train" / composed)
    (place / "test" / "class 0").rename(place / "test" / decomposed)
    (place / "train" / decomposed).mkdir()
    Image.fromarray(np.full((6, 9), 7, np.uint8)).save(place / "train" / decomposed / "one more.png")
    dataset = get(f"folder:{place}")
    assert dataset.class_names == (composed, "class 1")
    assert counts(dataset.load(None)) == (11, 4)


def test_names_that_are_not_utf_8_are_refused_when_the_data_set_is_opened(place: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    for part in ("train", "test"):
        (place / part / "class 0").rename(place / part / name)
    with pytest.raises(UserError, match=r"'caf\\\\xe9' is not UTF-8: rename it"):
        get(f"folder:{place}")
    place.rename(place.parent / name)
    with pytest.raises(UserError, match="is not UTF-8"):
        get(f"folder:{place.parent / name}")


def test_a_name_that_the_locale_lacks_is_not_to_be_changed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    place.rename(place.parent / "caf\u00e9")
    with pytest.raises(UserError, match="caf\u00e9' is not in the locale's encoding, ascii: choose a locale of UTF-8"):
        get(f"folder:{place.parent}/caf\udcc3\udca9")


def test_the_validation_part_is_used_where_there_is_one(place: Path) -> None:
    shutil.copytree(place / "test", place / "val")
    for path in (place / "val").rglob("*.png"):
        Image.fromarray(np.full((6, 9), 9, np.uint8)).save(path)
    raw = load(place)
    assert raw.x_val is not None
    assert (raw.x_val == 9).all()
    assert counts(raw) == (10, 4)


@pytest.mark.parametrize("validation", ["valid", "validation", "Val", "dev"])
@pytest.mark.parametrize(("train", "test"), [("TRAIN", "Test"), ("training", "testing")])
def test_parts_have_the_names_that_are_in_use(train: str, test: str, validation: str, place: Path) -> None:
    shutil.copytree(place / "test", place / validation)
    (place / "train").rename(place / train)
    (place / "test").rename(place / "other")
    (place / "other").rename(place / test)
    raw = load(place)
    assert raw.y_val is not None
    assert (*counts(raw), len(raw.y_val)) == (10, 4, 4)


def test_two_folders_that_may_be_the_same_part_are_refused_and_others_counted(place: Path) -> None:
    shutil.copytree(place / "test", place / "unlabelled")
    (place / "README.md").touch()
    (place / "loose.png").touch()
    assert load(place).passed_over == {
        "files in folders that are no part": 4,
        "files outside the folders of classes": 1,
    }
    shutil.copytree(place / "test", place / "testing")
    with pytest.raises(UserError, match="may both be the test part; expected one of them"):
        load(place)


def test_all_pictures_that_cannot_be_read_are_named_at_once(place: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (place / "train" / "class 0" / name).touch()
    with pytest.raises(UserError, match=r"a\.png is not an image that can be read: it is empty; nor are .*b\.jpg$"):
        load(place)


def test_photographs_at_their_own_size_are_refused_where_they_are_too_many(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheme, "MAX_BYTES", 14 * 6 * 9 - 1)
    with pytest.raises(UserError, match=r"14 pictures of 9 x 6 pixels are 0\.0 GB when decoded: write .*\[size=32\]"):
        load(place)
    assert counts(get(f"folder:{place}[size=32]").load(None)) == (10, 4)


def png_16(colour_type: int, channels: int) -> bytes:
    """A PNG of 9 x 6 pixels with 16 bits per channel, all of them 200 of 65535."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + pack(">H", 200) * channels * 9) * 6
    header = pack(">IIBBBBB", 9, 6, 16, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_are_refused_in_colour_and_with_alpha_too(colour_type: int, channels: int, place: Path) -> None:
    (place / "train" / "class 0" / "new.png").write_bytes(png_16(colour_type, channels))
    with pytest.raises(UserError, match=r"new\.png has more than 8 bits per channel"):
        get(f"folder:{place}[channels=1]").load(None)


def test_a_path_that_ends_in_brackets_can_be_written(place: Path) -> None:
    odd = place.rename(place.parent / "mine[v2]")
    with pytest.raises(UserError, match=r"write folder:.*mine\[v2\]\[\]"):
        get(f"folder:{odd}")
    dataset = get(f"folder:{odd}[]")
    assert dataset.num_classes == 2
    assert get(dataset.name).name == dataset.name
    assert get(f"folder:{odd}[size=4]").load(None).x_train.shape == (10, 1, 4, 4)
