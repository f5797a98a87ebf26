import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.datasets import get, make_splits
from bench.datasets.formats.npz import read_arrays
from bench.errors import UserError
from tests.bench.datasets import files

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0], np.uint8)
SOUND = {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:3], "y_test": LABELS[:3]}


def save(root: Path, **changes: object) -> str:
    np.savez(root / "mine.npz", **(SOUND | changes))
    return f"npz:{root / 'mine.npz'}"


@pytest.mark.parametrize(
    ("x", "as_loaded"),
    [
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
    ],
    ids=["NHW", "NHW1", "N1HW", "NHW3", "N3HW"],
)
def test_images_in_every_order(x: np.ndarray, as_loaded: np.ndarray, root: Path) -> None:
    dataset = get(save(root, x_train=x, x_test=x[:3]))
    raw = dataset.load(None)
    assert np.array_equal(raw.x_train, as_loaded)
    assert np.array_equal(raw.x_test, as_loaded[:3])
    assert raw.y_train.tolist() == LABELS.tolist()
    assert (raw.source, raw.verified, raw.partial) == ("NumPy archive mine.npz", None, False)
    assert dataset.class_names == ("0", "1", "2")


def test_the_name_holds_from_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(root)
    monkeypatch.chdir(root)
    name = get("npz:mine.npz").name
    assert name == f"npz:{root / 'mine.npz'}"
    monkeypatch.chdir("/")
    assert np.array_equal(get(name).load(None).x_train[:, 0], GREY)


def test_the_data_folder_is_not_asked(root: Path) -> None:
    assert len(get(save(root)).load(root / "nowhere").x_train) == 6


@pytest.mark.parametrize(("text", "flip"), [("", False), ("[flip=true]", True)])
def test_flips_only_if_asked(text: str, flip: bool, root: Path) -> None:
    assert get(save(root) + text).flip is flip


def test_images_are_not_read_before_they_are_needed(root: Path) -> None:
    name = save(root, x_train=np.array([None]))  # a pickle, which reading would refuse
    assert get(name).num_classes == 3
    with pytest.raises(UserError, match=r"not a sound \.npz archive of plain arrays"):
        get(name).load(None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: np.eye(3)[y],
        lambda y: np.eye(3, dtype="u1")[y],
        lambda y: y * 1.0,
        lambda y: y.astype("f2"),
    ],
)
def test_labels_are_read_in_every_form_that_says_the_same(form: Callable[[np.ndarray], np.ndarray], root: Path) -> None:
    raw = get(save(root, y_train=form(LABELS), y_test=form(LABELS[:3]))).load(None)
    assert (raw.y_train.tolist(), raw.y_test.tolist()) == (LABELS.tolist(), LABELS[:3].tolist())


@pytest.mark.parametrize(
    ("x", "y"), [("X_{}", "Y_{}"), ("X_{}", "y_{}"), ("{}_x", "{}_y"), ("{}X", "{}Y"), ("{}-data", "{}.targets")]
)
@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
def test_names_are_read_however_they_are_spelt(x: str, y: str, validation: str, root: Path) -> None:
    parts = {"train": (GREY, LABELS), validation: (GREY[3:5], LABELS[3:5]), "test": (GREY[:3], LABELS[:3])}
    arrays = {}
    for part, (images, labels) in parts.items():
        arrays |= {x.format(part): images, y.format(part): labels}
    np.savez(root / "mine.npz", **arrays)
    raw = get(f"npz:{root / 'mine.npz'}").load(None)
    assert np.array_equal(raw.x_train[:, 0], GREY)
    assert raw.y_val is not None
    assert raw.y_val.tolist() == LABELS[3:5].tolist()


HUGE = b"\x93NUMPY\x01\x00F\x00{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"junk", "y_train is no array"),
        (HUGE, "fit into memory"),
        (HUGE.replace(b")}", b"{}"), "not a sound"),  # Python's tokenizer complains
        (HUGE.replace(b"<i8", b"<,8"), "not a sound"),  # and its compiler, of what NumPy makes of a type
        (HUGE.replace(b"<", b"\\o"), "not a sound"),  # and the compiler warns
    ],
)
def test_entries_that_are_no_arrays_or_far_too_large_are_named(entry: bytes, message: str, root: Path) -> None:
    with zipfile.ZipFile(root / "mine.npz", "w") as archive:
        archive.writestr("y_train.npy", entry.ljust(79) + b"\n")
    with pytest.raises(UserError, match=message):
        get(f"npz:{root / 'mine.npz'}")


NOT_THERE = np.array([0, 1, 3, 3, 1, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": NOT_THERE}, r"y_train in .*mine\.npz has the label 3, but not 2; expected 0 to K - 1"),
        ({"y_test": LABELS[:3] + 1}, r"y_test in .* has the label 1, but not 0"),
        ({"y_train": LABELS.astype(int) - 1}, "has the label -1, but not 0"),
        ({"y_test": LABELS[:2]}, r"y_train in .* has 3 class\(es\) and y_test 2; expected the same number"),
        ({"y_train": LABELS * 0, "y_test": LABELS[:3] * 0}, r"has 1 class\(es\) and y_test 1; .* at least 2"),
        ({"y_train": LABELS * 0.5}, r"y_train in .* is float64 of shape \(6,\); expected whole numbers"),
        ({"y_train": LABELS * np.nan}, r"y_train in .* is float64 of shape \(6,\); expected whole numbers"),
        ({"train_images": GREY}, "has x_train and train_images, which both may be x_train; expected one of them"),
        ({"y_train": np.stack([LABELS, LABELS], 1)}, r"y_train in .* is uint8 of shape \(6, 2\)"),
        ({"x_val": GREY}, r"mine\.npz has no y_val; expected both x_val and y_val, or neither"),
        ({"x_val": GREY[:2, :4], "y_val": LABELS[:2]}, "1 x 5 x 7 and validation images of 1 x 4 x 7"),
        ({"x_val": GREY[:2], "y_val": LABELS[:2] + 2}, r"y_val in .* has the label 3; labels are 0 to 2"),
        ({"y_train": LABELS[:0]}, r"y_train in .* is uint8 of shape \(0,\)"),
        ({"y_train": LABELS.astype(object)}, "it has Python objects, which may run code, instead of numbers"),
        ({"y_train": np.array([0, 1, 2**62])}, f"has the label {2**62}, but not 2"),
        ({"x_train": GREY / 255}, r"x_train in .* is float64 of shape \(6, 5, 7\); expected uint8 .* by \(255 \* x\)"),
        ({"x_train": GREY[:, :, 0]}, r"x_train in .* is uint8 of shape \(6, 5\)"),
        ({"x_train": COLOUR[..., :2]}, r"is uint8 of shape \(6, 5, 7, 2\); .* 1 \(grey\) or 3 \(colour\) channels"),
        ({"x_train": COLOUR[:, :3]}, r"whose channels may be first or last"),
        ({"x_train": GREY[:5]}, r"y_train in .* has 6 labels for 5 images"),
        (
            {"x_train": COLOUR},
            r"training images of 3 x 5 x 7 and test images of 1 x 5 x 7 \(channels x height x width\)",
        ),
        ({"x_test": GREY[:3, :4]}, r"training images of 1 x 5 x 7 and test images of 1 x 4 x 7"),
        ({"x_train": np.array([None] * 6)}, "is not a sound .npz archive of plain arrays"),
    ],
)
def test_what_cannot_be_used_is_named(changes: dict[str, object], message: str, root: Path) -> None:
    name = save(root, **changes)
    with pytest.raises(UserError, match=message) as caught:
        get(name).load(None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", sorted(SOUND))
def test_a_missing_array_is_named(missing: str, root: Path) -> None:
    np.savez(root / "mine.npz", **{name: array for name, array in SOUND.items() if name != missing})
    with pytest.raises(UserError, match=rf"mine\.npz has no {missing}; expected x_train, y_train, x_test, y_test"):
        get(f"npz:{root / 'mine.npz'}").load(None)


def test_a_missing_file_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=rf"there is no file {root / 'no.npz'}"):
        get(f"npz:{root / 'no.npz'}")


@pytest.mark.parametrize("length", [0, 40, 400])
def test_a_file_that_was_cut_short_is_named(length: int, root: Path) -> None:
    files.write_cifar_archive(root, files.colour(), "mine.npz")
    path = root / "mine.npz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"mine\.npz is not a sound \.npz archive"):
        get(f"npz:{path}")


def test_an_archive_that_is_damaged_inside_is_named(root: Path) -> None:
    with zipfile.ZipFile(root / "mine.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("y_train.npy", HUGE)
    data = bytearray((root / "mine.npz").read_bytes())
    data[45] = 0xFF  # the first of the codec's properties
    (root / "mine.npz").write_bytes(data)
    with pytest.raises(UserError, match="not a sound"):
        get(f"npz:{root / 'mine.npz'}")


def test_arrays_that_are_not_used_are_counted(root: Path) -> None:
    raw = get(save(root, x_extra=GREY, **{"y\x1b[0m": LABELS})).load(None)
    assert raw.passed_over == {"x_extra": 1, r"y\x1b[0m": 1}
    assert get(save(root)).load(None).passed_over == {}


def test_images_of_one_pixel_are_read(root: Path) -> None:
    pixels = GREY[:, :1, :1, None]
    assert np.array_equal(get(save(root, x_train=pixels, x_test=pixels[:3])).load(None).x_train, pixels)


def test_an_archive_must_be_one_from_its_first_byte_on(root: Path) -> None:
    save(root)
    path = root / "mine.npz"
    path.write_bytes(b"front" + path.read_bytes())
    with pytest.raises(UserError, match=r"mine\.npz is not a sound .* \(it is no zip file from its first byte on\)"):
        get(f"npz:{path}")


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.npz")
    for path in (root / "pipe.npz", Path("/dev/zero")):
        with pytest.raises(UserError, match=r"is no regular file; expected an \.npz archive of x_train"):
            get(f"npz:{path}")


def test_an_archive_that_may_not_be_read_is_not_called_damaged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    name = save(root)
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(UserError, match=r"mine\.npz cannot be read: Permission denied; expected an \.npz archive"):
        get(name)


def test_a_folder_is_no_archive(root: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; expected an \.npz archive"):
        get(f"npz:{root}")


def test_what_is_no_archive_is_called_that_and_nobody_is_told_to_unpickle_it(tmp_path: Path) -> None:
    (tmp_path / "junk.npz").write_bytes(b"hello")
    with pytest.raises(UserError, match="no zip file") as error:
        read_arrays(tmp_path / "junk.npz")
    assert "pickle" not in str(error.value)


def test_keras_labels_and_medmnists_names_are_read_with_the_validation_part(root: Path) -> None:
    names = {"train": (GREY, LABELS), "val": (GREY[3:5], LABELS[3:5]), "test": (GREY[:3], LABELS[:3])}
    arrays = {}
    for part, (images, labels) in names.items():
        arrays |= {f"{part}_images": images, f"{part}_labels": labels[:, None]}
    np.savez(root / "pathmnist.npz", **arrays)
    raw = get(f"npz:{root / 'pathmnist.npz'}").load(None)
    assert raw.y_train.tolist() == LABELS.tolist()
    assert raw.y_val is not None
    assert raw.y_val.tolist() == LABELS[3:5].tolist()
    splits = make_splits(raw, num_classes=3, train_size=None, split_seed=0, allow_duplicates=True)
    assert np.array_equal(splits.x_val.numpy()[:, 0], GREY[3:5])
    assert np.array_equal(splits.x_train.numpy()[:, 0], GREY), "nothing is held out of the training part"
