import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets import get
from bench.errors import UserError
from tests.bench.datasets import files

SHAPES = {"grey": (1, 6, 9), "colour": (3, 6, 9)}


@pytest.fixture
def place(root: Path) -> Path:
    """Three classes of small grey pictures."""
    files.write_folders(root / "mine", files.arrays(SHAPES["grey"], num_classes=3))
    return root / "mine"


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("test", ["test", "val"])
def test_pictures_and_classes(kind: str, test: str, root: Path) -> None:
    data = files.arrays(SHAPES[kind], num_classes=3)
    files.write_folders(root, data, test=test)
    dataset = get(f"folder:{root}")
    assert dataset.class_names == ("class 0", "class 1", "class 2")
    raw = dataset.load(None)
    for images, labels, loaded, numbers in (
        (data[0], data[1], raw.x_train, raw.y_train),
        (data[2], data[3], raw.x_test, raw.y_test),
    ):
        assert loaded.shape == images.shape
        assert {(image.tobytes(), int(k)) for image, k in zip(loaded, numbers, strict=True)} == {
            (image.tobytes(), int(k)) for image, k in zip(images, labels, strict=True)
        }
    assert (raw.source, raw.verified, raw.partial) == ("folders of pictures", None, False)


def test_the_order_is_that_of_names(place: Path) -> None:
    raw = get(f"folder:{place}").load(None)
    paths = sorted((place / "train").glob("*/*.png"))
    assert np.array_equal(raw.x_train[:, 0], np.stack([np.asarray(Image.open(path)) for path in paths]))
    assert raw.y_train.tolist() == sorted(raw.y_train.tolist())


def test_the_name_holds_from_everywhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    name = get("folder:mine[size=4]").name
    assert name == f"folder:{place}[size=4]"
    monkeypatch.chdir("/")
    assert get(name).load(None).x_train.shape == (15, 1, 4, 4)


@pytest.mark.parametrize(("text", "flip"), [("", False), ("[flip=true]", True)])
def test_flips_only_if_asked(text: str, flip: bool, place: Path) -> None:
    assert get(f"folder:{place}{text}").flip is flip


@pytest.mark.parametrize("train", ["", "train"])
def test_a_test_part_is_drawn_from_plain_folders_of_classes(train: str, place: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    for number in range(40):
        folder = plain / train / f"class {number % 4 // 3}"  # 30 and 10 pictures
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / f"{number:02}.png", np.full((6, 9), number))
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "other.png").touch()  # no part of the data, since it lies beside PATH
    dataset = get(f"folder:{plain}[test=0.2]")
    assert dataset.name.endswith("[test=0.2]")
    raw, again = dataset.load(None), get(dataset.name).load(None)
    assert np.bincount(raw.y_train).tolist() == [24, 8]
    assert np.bincount(raw.y_test).tolist() == [6, 2]
    images = [int(image[0, 0, 0]) for image in (*raw.x_train, *raw.x_test)]
    assert sorted(images) == list(range(40))
    assert images != sorted(images)
    assert np.array_equal(raw.x_test, again.x_test)
    assert raw.source == "folders of pictures; 0.2 of each class drawn as the test part (seed 0)"
    assert raw.passed_over == {}
    with pytest.raises(
        UserError, match=r"is missing; .* or write folder:PATH\[test=0\.2\] to have a fifth of each class"
    ):
        get(f"folder:{plain}")


@pytest.mark.parametrize("name", ["train", "Test"])
def test_a_class_may_be_called_like_a_part_where_the_test_part_is_drawn(name: str, tmp_path: Path) -> None:
    for number in range(30):
        folder = tmp_path / ("bus", "car", name)[number % 3]
        folder.mkdir(exist_ok=True)
        save(folder / f"{number:02}.png", np.full((6, 9), number))
    (tmp_path / ".cache").mkdir()
    dataset = get(f"folder:{tmp_path}[test=0.2]")
    assert set(dataset.class_names) == {"bus", "car", name}
    assert np.bincount(dataset.load(None).y_train).tolist() == [8, 8, 8]


def test_pictures_of_parts_without_classes_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", ".cache"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "0.png", np.zeros((6, 9)))
    with pytest.raises(UserError, match="train has no folders; expected one for each class"):
        get(f"folder:{tmp_path}[test=0.2]")


def save(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint8)).save(path)


def test_pictures_of_different_sizes_are_resized_if_asked(place: Path) -> None:
    save(place / "train" / "class 1" / "0 large.png", np.full((40, 20), 77))
    raw = get(f"folder:{place}[size=4]").load(None)
    assert raw.x_train.shape == (16, 1, 4, 4)
    assert (raw.x_train[5] == 77).all()  # the first of the second class, by its name


def test_pictures_are_turned_into_grey_or_colour_if_asked(place: Path) -> None:
    grey = get(f"folder:{place}").load(None)
    colour = get(f"folder:{place}[channels=3]").load(None)
    assert colour.x_train.shape == (15, 3, 6, 9)
    assert np.array_equal(colour.x_train, np.repeat(grey.x_train, 3, axis=1))
    save(place / "train" / "class 1" / "red.png", np.tile(np.array([255, 0, 0]), (6, 9, 1)))
    assert get(f"folder:{place}[channels=1]").load(None).x_train.shape == (16, 1, 6, 9)


def test_palettes_and_transparency_are_colour(root: Path) -> None:
    files.write_folders(root, files.arrays(SHAPES["colour"], num_classes=2))
    pixels = np.zeros((6, 9, 4), np.uint8)
    pixels[..., 0], pixels[:, :4, 3] = 200, 255
    Image.fromarray(pixels).save(root / "train" / "class 0" / "0.png")
    Image.fromarray(pixels[..., :3]).quantize(4).save(root / "train" / "class 0" / "00.png")
    clear, palette = get(f"folder:{root}").load(None).x_train[:2]
    assert clear[0].tolist() == [[200] * 4 + [0] * 5] * 6
    assert palette[0].tolist() == [[200] * 9] * 6


def test_what_is_no_picture_and_hidden_folders_are_passed_over(place: Path) -> None:
    (place / "train" / "class 1" / "notes.txt").write_text("not a picture")
    (place / "train" / ".cache").mkdir()
    (place / "readme.md").touch()
    assert len(get(f"folder:{place}").load(None).x_train) == 15


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"mine cannot be read \(No such file or directory\); expected pictures in train/CLASS/"),
        (lambda place: shutil.rmtree(place / "test"), r"mine/test is missing"),
        (lambda place: [shutil.rmtree(each) for each in (place / "train").iterdir()], "mine/train has no folders"),
        (
            lambda place: shutil.rmtree(place / "test" / "class 1"),
            "mine/train has a class 'class 1' and .*test has not",
        ),
        (lambda place: (place / "test" / "new").mkdir(), "mine/test has a class 'new' and .*train has not"),
        (
            lambda place: [shutil.rmtree(place / part / f"class {k}") for part in ("train", "test") for k in (1, 2)],
            "mine/train has one class, 'class 0'; expected at least 2",
        ),
        (
            lambda place: [path.unlink() for path in (place / "test" / "class 2").iterdir()],
            r"test/class 2 has no picture; expected files whose names end in one of \.jpg",
        ),
        (
            lambda place: (place / "train" / "class 0" / "0.png").write_bytes(b"no picture"),
            r"class 0/0\.png is not an image that can be read",
        ),
        (
            lambda place: (place / "train" / "class 0" / "0.png").write_bytes(
                next((place / "train" / "class 0").iterdir()).read_bytes()[:60]
            ),
            r"class 0/0\.png is not an image that can be read",
        ),
        (
            lambda place: Image.fromarray(np.zeros((6, 9), np.uint16)).save(place / "train" / "class 0" / "0.png"),
            r"class 0/0\.png has more than 8 bits per channel",
        ),
        (
            lambda place: save(place / "train" / "class 2" / "z.png", np.zeros((9, 6))),
            r"class 2/z\.png has 6 x 9 pixels and .*\.png 9 x 6: make them alike, or write folder:PATH\[size=32\]",
        ),
        (
            lambda place: save(place / "test" / "class 2" / "z.png", np.zeros((6, 9, 3))),
            r"class 2/z\.png is in colour and .*\.png is grey: make them alike, or write folder:PATH\[channels=1\]",
        ),
    ],
)
def test_what_cannot_be_used_is_named(change: Change, message: str, place: Path) -> None:
    change(place)
    with pytest.raises(UserError, match=message) as caught:
        get(f"folder:{place}").load(None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=0", "option size=0 is not accepted: size must be from 1 to 1024 pixels"),
        ("size=big", "size must be a whole number"),
        ("channels=2", r"channels must be 1 \(grey\) or 3 \(colour\)"),
        ("test=20", "test must be a share from 0.01 to 0.9"),
        ("test=0.2", "test is a test part, so test=0.2 is not accepted: leave one of them out"),
    ],
)
def test_options_that_are_not_accepted(options: str, message: str, place: Path) -> None:
    with pytest.raises(UserError, match=message):
        get(f"folder:{place}[{options}]")
