import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.datasets import cifar, get
from bench.errors import UserError
from tests.bench.datasets import files
from tests.bench.datasets.formats.test_pickles import Touch

load = get("cifar10").load

FORMS = {
    "batches in cifar-10-batches-py": files.write_cifar_python,
    "batches in cifar-10-batches-bin": files.write_cifar_binary,
    "cifar10.npz": files.write_cifar_archive,
    "cifar10-subset.npz": lambda root, data: files.write_cifar_archive(root, data, "cifar10-subset.npz"),
}


@pytest.mark.parametrize("source", FORMS)
def test_every_form_gives_the_same_images(source: str, root: Path) -> None:
    data = files.colour()
    FORMS[source](root, data)
    raw = load(root)
    for loaded, written in zip((raw.x_train, raw.y_train, raw.x_test, raw.y_test), data, strict=True):
        assert np.array_equal(loaded, written)
    assert raw.source == f"{source} (data folder)"
    assert raw.partial
    assert raw.verified is (False if source.endswith("-py") else None)


@pytest.mark.parametrize("folder", ["cifar-10-batches-py", "cifar-10-batches-bin"])
def test_the_folder_of_batches_may_be_given(folder: str, root: Path) -> None:
    FORMS[f"batches in {folder}"](root, files.colour())
    assert load(root / folder).source == f"batches in {folder} (data folder)"


def test_python_batches_come_first(root: Path) -> None:
    for seed, write in enumerate(reversed(FORMS.values())):
        data = files.colour(seed=seed)
        write(root, data)
        assert np.array_equal(load(root).x_train, data[0])


def test_python_batches_of_python_3_are_read(root: Path) -> None:
    data = files.colour()
    files.write_cifar_python(root, data)
    test = {"data": data[2].reshape(len(data[2]), -1), "labels": data[3].tolist()}
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(test, protocol=4))
    assert np.array_equal(load(root).x_test, data[2])


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_batches_written_back_by_any_python_are_read(protocol: int, root: Path) -> None:
    """With keys that are bytes, in an ordered dictionary, and labels that are NumPy's integers or an array."""
    data = files.colour()
    files.write_cifar_python(root, data)
    for name, labels in (("test_batch", list(data[3])), ("data_batch_1", data[1][:10])):
        images = data[2] if name == "test_batch" else data[0][:10]
        batch = {b"data": images.reshape(len(images), -1), b"labels": labels, b"batch_label": b"x"}
        (root / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(OrderedDict(batch), protocol=protocol))
    raw = load(root)
    assert np.array_equal(raw.x_test, data[2])
    assert raw.y_test.tolist() == data[3].tolist()
    assert raw.y_train.tolist() == data[1].tolist()


def test_verified_python_batches(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_cifar_python(root, files.colour())
    folder = root / "cifar-10-batches-py"
    digests = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setitem(cifar.PYTHON_MD5, "CIFAR-10", digests)
    assert load(root).verified is True
    digests["data_batch_5"] = "0" * 32
    assert load(root).verified is False


def test_checksums_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    assert dict(CIFAR10.train_list + CIFAR10.test_list) == cifar.PYTHON_MD5["CIFAR-10"]
    assert dict(CIFAR100.train_list + CIFAR100.test_list) == cifar.PYTHON_MD5["CIFAR-100"]


def test_a_malicious_pickle_is_refused_and_not_run(root: Path, tmp_path: Path) -> None:
    files.write_cifar_python(root, files.colour())
    marker = tmp_path / "made by the pickle"
    (root / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Touch(marker)))
    with pytest.raises(UserError, match="data_batch_3 is refused and nothing in it was run: it asks for pathlib"):
        load(root)
    assert not marker.exists()


Change = Callable[[Path], object]


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def pickled(name: str, **value: object) -> Change:
    return lambda folder: (folder / name).write_bytes(files.python2_pickle(value))


GREY = np.zeros((2, 1024), np.uint8)
COLOUR = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "test_batch").unlink(), "test_batch is missing; CIFAR-10 is 6 files"),
        (rewrite("data_batch_1", lambda data: data[:-50]), "data_batch_1 is not a sound CIFAR-10 batch"),
        (rewrite("data_batch_1", lambda data: b""), "data_batch_1 is not a sound CIFAR-10 batch"),
        (pickled("data_batch_2", labels=[1]), "data_batch_2 is not a sound CIFAR-10 batch .*KeyError: 'data'"),
        (pickled("data_batch_2", data=[1], labels=[1]), "'data' in .*data_batch_2 is a list; expected uint8"),
        (pickled("data_batch_2", data=GREY, labels=[1, 2]), r"is uint8 of shape \(2, 1024\); .* colour images"),
        (pickled("data_batch_2", data=COLOUR * 1.0, labels=[1, 2]), "is float64 of shape"),
        (pickled("data_batch_2", data=COLOUR, labels=[1]), "data_batch_2 has 1 labels for 2 images"),
        (pickled("data_batch_2", data=COLOUR, labels=[1, 10]), "data_batch_2 has the label 10; labels are 0 to 9"),
        (pickled("data_batch_2", data=COLOUR, labels=[1, "2"]), "data_batch_2 has labels of type <U"),
        (pickled("test_batch", data=COLOUR, labels=[0, 1]), "test part in .* has no image of class 2"),
    ],
)
def test_damaged_python_batches_are_named(change: Change, message: str, root: Path) -> None:
    files.write_cifar_python(root, files.colour())
    change(root / "cifar-10-batches-py")
    with pytest.raises(UserError, match=message):
        load(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "data_batch_4.bin").unlink(), r"data_batch_4\.bin is missing"),
        (rewrite("data_batch_1.bin", lambda data: data[:-1]), r"data_batch_1\.bin is \d+ bytes long; .* of 3073"),
        (rewrite("data_batch_1.bin", lambda data: b""), r"data_batch_1\.bin is 0 bytes long"),
        (rewrite("test_batch.bin", lambda data: b"\x0a" + data[1:]), r"test_batch\.bin has the label 10"),
        (rewrite("test_batch.bin", lambda data: data[:3073]), "test part in .* has no image of class"),
    ],
)
def test_damaged_binary_batches_are_named(change: Change, message: str, root: Path) -> None:
    files.write_cifar_binary(root, files.colour())
    change(root / "cifar-10-batches-bin")
    with pytest.raises(UserError, match=message):
        load(root)


X, Y = np.zeros((10, 32, 32, 3), np.uint8), np.arange(10)
SOUND = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": X[..., :1]}, r"x_test in .*\.npz is uint8 of shape \(10, 32, 32, 1\); .* colour images"),
        ({"x_train": X[..., 0]}, r"x_train in .*\.npz is uint8 of shape \(10, 32, 32\)"),
        ({"x_train": X.transpose(0, 3, 1, 2)}, r"x_train in .* is uint8 of shape \(10, 3, 32, 32\)"),
        ({"x_train": X / 255}, "x_train in .* is float64"),
        ({"y_train": Y[:9]}, "y_train in .* has 9 labels for 10 images"),
        ({"y_train": Y * 0.5}, "y_train in .* has labels of type float64"),
        ({"y_test": Y % 9}, "y_test in .* has no image of class 9"),
        ({"y_test": Y.astype(object)}, "not a sound .npz archive of plain arrays"),
    ],
)
def test_wrong_archives_are_named(change: dict[str, np.ndarray], message: str, root: Path) -> None:
    np.savez(root / "cifar10.npz", **(SOUND | change))
    with pytest.raises(UserError, match=message):
        load(root)


def test_an_archive_without_an_array_is_named(root: Path) -> None:
    np.savez(root / "cifar10.npz", **{name: SOUND[name] for name in ("x_train", "y_train", "x_test")})
    with pytest.raises(UserError, match=r"cifar10\.npz has no y_test; expected x_train, y_train, x_test, y_test"):
        load(root)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: b"", lambda data: b"no archive", pickle.dumps]
)
def test_damaged_archives_are_named(damage: Callable[[bytes], bytes], root: Path) -> None:
    files.write_cifar_archive(root, files.colour())
    path = root / "cifar10.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cifar10\.npz is not a sound \.npz archive"):
        load(root)


def test_flipped_bits_in_an_archive_are_noticed(root: Path) -> None:
    files.write_cifar_archive(root, files.colour())
    path = root / "cifar10.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cifar10\.npz is not a sound \.npz archive"):
        load(root)


def test_a_single_array_is_no_archive(root: Path) -> None:
    np.save(root / "cifar10.npy", X)
    (root / "cifar10.npy").rename(root / "cifar10.npz")
    with pytest.raises(UserError, match=r"cifar10\.npz is a single array"):
        load(root)


def test_no_batches_is_not_a_damaged_data_set(root: Path) -> None:
    (root / "cifar-10-batches-py").mkdir()
    (root / "cifar-10-batches-py" / "readme.html").touch()
    with pytest.raises(UserError, match="CIFAR-10 is not in"):
        load(root)


CIFAR100_FORMS = {
    "batches in cifar-100-python": files.write_cifar100_python,
    "batches in cifar-100-binary": files.write_cifar100_binary,
    "cifar100.npz": lambda root, data: files.write_cifar_archive(root, data, "cifar100.npz"),
}


@pytest.mark.parametrize("source", CIFAR100_FORMS)
def test_every_form_of_cifar100_gives_the_same_images_and_the_fine_classes(source: str, root: Path) -> None:
    data = files.hundred()
    CIFAR100_FORMS[source](root, data)
    raw = get("cifar100").load(root)
    for loaded, written in zip((raw.x_train, raw.y_train, raw.x_test, raw.y_test), data, strict=True):
        assert np.array_equal(loaded, written)
    assert raw.source == f"{source} (data folder)"
    assert raw.partial
    assert raw.verified is (False if source.endswith("-python") else None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "test").unlink(), "test is missing; CIFAR-100 is 2 files: train, test"),
        (
            lambda folder: (folder / "train").write_bytes(files.python2_pickle({"data": COLOUR, "labels": [1, 2]})),
            "train is not a sound CIFAR-100 batch .*'fine_labels'",
        ),
        (
            lambda folder: (folder / "train").write_bytes(
                files.python2_pickle({"data": COLOUR, "fine_labels": [1, 100]})
            ),
            "train has the label 100; labels are 0 to 99",
        ),
    ],
)
def test_damaged_batches_of_cifar100_are_named(change: Callable[[Path], object], message: str, root: Path) -> None:
    files.write_cifar100_python(root, files.hundred())
    change(root / "cifar-100-python")
    with pytest.raises(UserError, match=message):
        get("cifar100").load(root)


def test_a_malicious_batch_of_cifar100_is_not_run(root: Path, tmp_path: Path) -> None:
    files.write_cifar100_python(root, files.hundred())
    (root / "cifar-100-python" / "test").write_bytes(pickle.dumps(Touch(tmp_path / "made")))
    with pytest.raises(UserError, match="test is refused and nothing in it was run"):
        get("cifar100").load(root)
    assert not (tmp_path / "made").exists()
