import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.datasets import get, mnist
from bench.errors import UserError
from tests.bench.datasets import files

MNIST_FOLDERS = ["MNIST/raw", "MNIST", "mnist", "mnist/raw"]
KMNIST_FOLDERS = ["KMNIST/raw", "KMNIST", "kmnist"]
FASHION_FOLDERS = ["FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "fashion-mnist/raw", "fashion_mnist"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        *(("mnist", folder) for folder in MNIST_FOLDERS),
        *(("fashion-mnist", folder) for folder in FASHION_FOLDERS),
        *(("kmnist", folder) for folder in KMNIST_FOLDERS),
    ],
)
@pytest.mark.parametrize("gz", [True, False])
def test_recognised_folders(name: str, folder: str, gz: bool, root: Path) -> None:
    data = files.grey()
    files.write_idx_files(root / folder, data, gz=gz)
    raw = get(name).load(root)
    assert np.array_equal(raw.x_train, data[0])
    assert raw.source == f"IDX files in {folder} (data folder)"


@pytest.mark.parametrize("folder", [*FASHION_FOLDERS, *KMNIST_FOLDERS])
def test_other_files_are_never_taken_for_mnist(folder: str, root: Path) -> None:
    files.write_idx_files(root / folder, files.grey())
    for place in {root, root / folder}:
        with pytest.raises(UserError, match="MNIST is not in"):
            get("mnist").load(place)


@pytest.mark.parametrize("folder", MNIST_FOLDERS)
def test_mnist_files_are_never_taken_for_fashion(folder: str, root: Path) -> None:
    files.write_idx_files(root / folder, files.grey())
    for place in {root, root / folder}:
        with pytest.raises(UserError, match="Fashion-MNIST is not in"):
            get("fashion-mnist").load(place)


def test_files_in_a_folder_of_another_name_are_nobodys(root: Path) -> None:
    files.write_idx_files(root, files.grey())
    for name in ("mnist", "fashion-mnist"):
        with pytest.raises(UserError, match="is not in"):
            get(name).load(root)


@pytest.mark.parametrize("folder", ["MNIST", "MNIST/raw", "fashion-mnist"])
def test_the_folder_itself_may_be_given(folder: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "mnist" if folder.startswith("MNIST") else "fashion-mnist"
    files.write_idx_files(root / folder, files.grey())
    assert get(name).load(root / folder).source == f"IDX files in {folder} (data folder)"
    monkeypatch.chdir(root / folder)
    assert get(name).load(Path()).source == f"IDX files in {folder} (data folder)"


def test_the_folder_above_raw_may_be_given(root: Path) -> None:
    files.write_idx_files(root / "MNIST" / "raw", files.grey())
    assert get("mnist").load(root / "MNIST").source == "IDX files in MNIST/raw (data folder)"


def test_published_fashion_files_in_mnists_folder_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files.grey()
    monkeypatch.setitem(mnist.SHA256, "Fashion-MNIST", files.idx_digests(data))
    files.write_idx_files(root / "MNIST" / "raw", data)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is Fashion-MNIST's file; expected MNIST"):
        get("mnist").load(root)


@pytest.mark.parametrize("gz", [True, False])
def test_verified_says_whether_contents_are_the_published_ones(
    root: Path, monkeypatch: pytest.MonkeyPatch, gz: bool
) -> None:
    data = files.grey()
    monkeypatch.setitem(mnist.SHA256, "MNIST", files.idx_digests(data))
    files.write_idx_files(root / "mnist", data, gz=gz)
    assert get("mnist").load(root).verified is True
    data[2][0, 0, 0, 0] ^= 1
    files.write_idx_files(root / "mnist", data, gz=gz)
    assert get("mnist").load(root).verified is False


def test_kmnist_is_verified_by_the_gzipped_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksums are published for these alone, so that nothing is known of unpacked ones."""
    data = files.grey()
    folder = root / "KMNIST" / "raw"
    files.write_idx_files(folder, data)
    digests = {name: hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest() for name in files.MNIST_FILES}
    monkeypatch.setitem(mnist.GZIP_MD5, "KMNIST", digests)
    load = get("kmnist").load
    assert load(root).verified is True
    files.write_idx_files(root / "MNIST" / "raw", data)
    with pytest.raises(UserError, match=r"is KMNIST's file; expected MNIST in a folder of this name"):
        get("mnist").load(root)

    data[2][0, 0, 0, 0] ^= 1
    files.write_idx_files(folder, data)
    assert load(root).verified is False
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    (folder / "train-labels-idx1-ubyte").write_bytes(files.idx_bytes(data[1]))
    assert load(root).verified is False
    data[2][0, 0, 0, 0] ^= 1
    files.write_idx_files(folder, data)
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    assert load(root).verified is None


def test_kmnists_checksums_are_torchvisions() -> None:
    from torchvision.datasets import KMNIST

    assert {f"{name}.gz": md5 for name, md5 in mnist.GZIP_MD5["KMNIST"].items()} == dict(KMNIST.resources)
    assert get("kmnist").class_names == tuple(KMNIST.classes)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="dataset-fashion-mnist not installed"
)
def test_debians_package_is_the_published_data_set() -> None:
    raw = get("fashion-mnist").load(Path("/usr/share/datasets"))
    assert raw.verified
    assert not raw.partial
    assert np.bincount(raw.y_train).tolist() == [6000] * 10


def test_partial_is_fewer_images_than_published(root: Path) -> None:
    labels = np.arange(60_000) % 10
    images = np.zeros((60_000, 1, 28, 28), np.uint8)
    files.write_idx_files(root / "mnist", (images, labels, images[:10_000], labels[:10_000]), gz=False)
    assert not get("mnist").load(root).partial
    files.write_idx_files(root / "mnist", (images, labels, images[:9_999], labels[:9_999]), gz=False)
    assert get("mnist").load(root).partial


def test_a_missing_file_is_named(root: Path) -> None:
    files.write_idx_files(root / "mnist", files.grey())
    (root / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"mnist/t10k-labels-idx1-ubyte\.gz is missing; MNIST is 4 files"):
        get("mnist").load(root)


def test_a_truncated_file_is_named(root: Path) -> None:
    files.write_idx_files(root / "mnist", files.grey())
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is cut short"):
        get("mnist").load(root)


def one_label_less(data: files.Arrays) -> files.Arrays:
    return data[0], data[1][:-1], data[2], data[3]


def without_class_3(data: files.Arrays) -> files.Arrays:
    keep = data[3] != 3
    return data[0], data[1], data[2][keep], data[3][keep]


def label_10(data: files.Arrays) -> files.Arrays:
    data[3][0] = 10
    return data


def smaller_test_images(data: files.Arrays) -> files.Arrays:
    return data[0], data[1], data[2][..., :20, :20], data[3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_label_less, "train-labels-idx1-ubyte.gz has 49 labels for 50 images"),
        (without_class_3, "t10k-labels-idx1-ubyte.gz has no image of class 3"),
        (label_10, "t10k-labels-idx1-ubyte.gz has the label 10; labels are 0 to 9"),
        (smaller_test_images, "t10k-images-idx3-ubyte.gz has images of 20 x 20 pixels; those of MNIST are 28 x 28"),
    ],
)
def test_wrong_contents_are_named(change, message: str, root: Path) -> None:
    files.write_idx_files(root / "mnist", change(files.grey()))
    with pytest.raises(UserError, match=message):
        get("mnist").load(root)


def test_a_labels_file_in_place_of_images_is_named(root: Path) -> None:
    files.write_idx_files(root / "mnist", files.grey())
    wrong = gzip.compress(files.idx_bytes(files.grey()[1]))
    (root / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(wrong)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz starts with the bytes 00000801; .* 00000803"):
        get("mnist").load(root)


def test_names_with_a_dot_are_read_and_verified(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some programs unpack them: `train-images.idx3-ubyte`."""
    data = files.grey()
    monkeypatch.setitem(mnist.SHA256, "MNIST", files.idx_digests(data))
    dotted = tuple(name.replace("-idx", ".idx") for name in files.MNIST_FILES)
    files.write_idx_files(root / "MNIST" / "raw", data, gz=False, names=dotted)
    raw = get("mnist").load(root)
    assert np.array_equal(raw.x_train, data[0])
    assert raw.verified
