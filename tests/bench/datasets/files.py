"""Small data sets in the real file formats, for tests that must not need the real files."""

import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
EMNIST_FILES = tuple(
    f"emnist-balanced-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
)
CIFAR_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""x_train (N, C, H, W) uint8, y_train (N,) int64, x_test, y_test."""


def arrays(
    shape: tuple[int, int, int],
    *,
    num_classes: int = 10,
    train_per_class: int = 5,
    test_per_class: int = 2,
    seed: int = 0,
) -> Arrays:
    """Random images, labels mixed, no two images alike."""
    rng = np.random.default_rng(seed)
    parts = []
    for per_class in (train_per_class, test_per_class):
        labels = rng.permutation(np.repeat(np.arange(num_classes), per_class))
        parts += [rng.integers(0, 256, (len(labels), *shape), dtype=np.uint8), labels.astype(np.int64)]
    return tuple(parts)


def grey(**options: int) -> Arrays:
    return arrays((1, 28, 28), **options)


def colour(**options: int) -> Arrays:
    return arrays((3, 32, 32), **options)


def letters() -> Arrays:
    return grey(num_classes=47)


def hundred() -> Arrays:
    return colour(num_classes=100)


def idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 0x08, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def write_idx_files(folder: Path, data: Arrays, *, gz: bool = True, names: tuple[str, ...] = MNIST_FILES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    x_train, y_train, x_test, y_test = data
    for name, values in zip(names, (x_train[:, 0], y_train, x_test[:, 0], y_test), strict=True):
        contents = idx_bytes(values)
        if gz:
            (folder / f"{name}.gz").write_bytes(gzip.compress(contents, mtime=0))
        else:
            (folder / name).write_bytes(contents)


def write_emnist_files(folder: Path, data: Arrays, *, gz: bool = True) -> None:
    """As published: each image's columns where its rows should be."""
    x_train, y_train, x_test, y_test = data
    turned = (x_train.swapaxes(2, 3), y_train, x_test.swapaxes(2, 3), y_test)
    write_idx_files(folder, turned, gz=gz, names=EMNIST_FILES)


def write_emnist_archive(folder: Path, data: Arrays) -> None:
    write_emnist_files(folder / "gzip", data)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for path in sorted((folder / "gzip").iterdir()):
            archive.write(path, f"gzip/{path.name}")
            path.unlink()
    (folder / "gzip").rmdir()


def write_svhn(folder: Path, data: Arrays) -> None:
    """MATLAB files of version 5, the digit 0 with the label 10."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (("train", *data[:2]), ("test", *data[2:])):
        digits = np.where(labels == 0, 10, labels).astype(np.uint8)
        held = {"X": images.transpose(2, 3, 1, 0), "y": digits[:, None]}
        scipy.io.savemat(folder / f"{part}_32x32.mat", held, do_compression=True)


def _batches(data: Arrays) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    x_train, y_train, x_test, y_test = data
    images, labels = np.array_split(x_train, 5), np.array_split(y_train, 5)
    return dict(zip(CIFAR_BATCHES, [*zip(images, labels, strict=True), (x_test, y_test)], strict=True))


def write_cifar_binary(root: Path, data: Arrays) -> None:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, (images, labels) in _batches(data).items():
        records = np.concatenate([labels[:, None].astype(np.uint8), images.reshape(len(images), -1)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_cifar_python(root: Path, data: Arrays) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, (images, labels) in _batches(data).items():
        flat = images.reshape(len(images), -1)
        (folder / name).write_bytes(python2_pickle({"data": flat, "labels": labels.tolist(), "batch_label": name}))


def write_cifar100_binary(root: Path, data: Arrays) -> None:
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    for name, images, labels in (("train", *data[:2]), ("test", *data[2:])):
        both = np.stack([labels // 5, labels], axis=1).astype(np.uint8)
        records = np.concatenate([both, images.reshape(len(images), -1)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_cifar100_python(root: Path, data: Arrays) -> None:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, images, labels in (("train", *data[:2]), ("test", *data[2:])):
        held = {"fine_labels": labels.tolist(), "coarse_labels": (labels // 5).tolist(), "batch_label": name}
        (folder / name).write_bytes(python2_pickle(held | {"data": images.reshape(len(images), -1)}))


def write_cifar_archive(root: Path, data: Arrays, name: str = "cifar10.npz") -> None:
    root.mkdir(parents=True, exist_ok=True)
    x_train, y_train, x_test, y_test = data
    np.savez_compressed(
        root / name,
        x_train=x_train.transpose(0, 2, 3, 1),
        y_train=y_train.astype(np.uint8),
        x_test=x_test.transpose(0, 2, 3, 1),
        y_test=y_test.astype(np.uint8),
    )


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as Python 2's `str`, as the published batches do."""

    dispatch = pickle._Pickler.dispatch.copy()

    def _save_string(self, value: str | bytes) -> None:
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_string


def python2_pickle(value: object) -> bytes:
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


CONTRACT: dict[str, tuple[Callable[..., Arrays], Callable[[Path, Arrays], None]]] = {
    "mnist": (grey, lambda root, data: write_idx_files(root / "MNIST" / "raw", data)),
    "fashion-mnist": (grey, lambda root, data: write_idx_files(root / "FashionMNIST" / "raw", data)),
    "kmnist": (grey, lambda root, data: write_idx_files(root / "KMNIST" / "raw", data)),
    "emnist": (letters, lambda root, data: write_emnist_archive(root / "EMNIST" / "raw", data)),
    "cifar10": (colour, write_cifar_python),
    "cifar100": (hundred, write_cifar100_python),
    "svhn": (colour, lambda root, data: write_svhn(root / "SVHN", data)),
}
"""For each data set that needs files: what makes its images, and what writes them under a data folder."""


def write_folders(root: Path, data: Arrays, *, test: str = "test") -> None:
    """PNG files in the layout of torchvision's ImageFolder; class k is the folder `class k`."""
    for part, images, labels in (("train", *data[:2]), (test, *data[2:])):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / part / f"class {label}"
            folder.mkdir(parents=True, exist_ok=True)
            values = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(values).save(folder / f"{number:04}.png")


def _npz(root: Path) -> str:
    write_cifar_archive(root, colour(num_classes=3), "mine.npz")
    return f"npz:{root / 'mine.npz'}"


def _folders(root: Path) -> str:
    write_folders(root / "mine", arrays((1, 9, 12), num_classes=3))
    return f"folder:{root / 'mine'}"


SCHEMES: dict[str, Callable[[Path], str]] = {"npz": _npz, "folder": _folders}
"""For each scheme: writes a data set of three classes and returns its name."""


def idx_digests(data: Arrays) -> dict[str, str]:
    """SHA-256 of the four unpacked files, by name."""
    x_train, y_train, x_test, y_test = data
    parts = zip(MNIST_FILES, (x_train[:, 0], y_train, x_test[:, 0], y_test), strict=True)
    return {name: hashlib.sha256(idx_bytes(values)).hexdigest() for name, values in parts}
