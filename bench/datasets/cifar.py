"""`cifar10` and `cifar100`: 32x32 colour images, in any of the three forms in which they are passed around.

Python batches and binary batches are described on the data sets' page, https://www.cs.toronto.edu/~kriz/cifar.html;
both have 32x32 images as 3,072 bytes: all red, then all green, then all blue, each row by row. The third form is a
NumPy archive. Checksums are published only for the Python batches.

torchvision's reader unpickles the Python batches, which runs whatever a file says; ours runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.registry import register
from bench.datasets.sources import Form, Part, Published, by_class, md5_of
from bench.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PYTHON_MD5 = {
    "CIFAR-10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "CIFAR-100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
}
"""Of all batches, the test batch last, as in torchvision's `train_list` and `test_list` (a test compares)."""


@dataclass(frozen=True)
class Family:
    """What tells the files of the two data sets apart. What its readers raise is said in `Form.read`."""

    title: str
    num_classes: int
    label_key: str
    """Under which a Python batch has the classes."""
    label_bytes: int
    """Before an image's pixels in a binary batch; the last one is the class."""

    def read_python_batches(self, paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
        """Read the pickled batches, without running anything in them."""
        parts = [self._read_python_batch(path) for path in paths]
        return *self._joined(parts, paths), all(md5_of(path) == PYTHON_MD5[self.title][path.name] for path in paths)

    def _read_python_batch(self, path: Path) -> Part:
        import numpy as np

        from bench.datasets.formats.npz import describe
        from bench.datasets.formats.pickles import RefusedPickleError, load_arrays

        data = path.read_bytes()
        try:
            batch = {_text(key): value for key, value in load_arrays(data).items()}
            images, labels = batch["data"], np.asarray(batch[self.label_key])
        except RefusedPickleError as error:
            raise UserError(
                f"{path} is refused and nothing in it was run: {error}, and a {self.title} batch has only plain arrays"
            ) from None
        except Exception as error:  # a damaged pickle can raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"{path} is not a sound {self.title} batch ({reason}); expected a pickle of 'data' and "
                f"{self.label_key!r}"
            ) from None
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3072,):
            raise UserError(f"'data' in {path} is {describe(images)}; expected uint8 of shape (N, 3072), colour images")
        return images.reshape(-1, 3, 32, 32), self._labels(labels, images, str(path))

    def read_binary_batches(self, paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
        """Read the batches whose names end in `.bin`: records of labels and 3,072 pixels."""
        import numpy as np

        parts = []
        for path in paths:
            data, size = path.read_bytes(), self.label_bytes + 3072
            if not data or len(data) % size:
                count = "a label" if self.label_bytes == 1 else f"{self.label_bytes} labels"
                raise UserError(
                    f"{path} is {len(data)} bytes long; expected a multiple of {size}, {count} and 3,072 pixels"
                )
            records = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
            labels = self._labels(records[:, self.label_bytes - 1], records, str(path))
            parts.append((records[:, self.label_bytes :].reshape(-1, 3, 32, 32), labels))
        return *self._joined(parts, paths), None

    def read_archive(self, paths: Sequence[Path]) -> tuple[Part, Part, bool | None]:
        """Read an `.npz` of `x_train` and `x_test`, uint8 (N, 32, 32, 3), and `y_train` and `y_test`, integers (N,)."""
        import numpy as np

        from bench.datasets.formats.labels import check_every_class
        from bench.datasets.formats.npz import describe, read_arrays

        (path,) = paths
        arrays = read_arrays(path)

        def part(name: str) -> Part:
            images, where = arrays[f"x_{name}"], f"y_{name} in {path}"
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
                raise UserError(
                    f"x_{name} in {path} is {describe(images)}; expected uint8 of shape (N, 32, 32, 3), colour images"
                )
            labels = self._labels(arrays[f"y_{name}"], images, where)
            check_every_class(labels, num_classes=self.num_classes, where=where)
            return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels

        return part("train"), part("test"), None

    def _labels(self, labels: NDArray[Any], images: NDArray[Any], where: str) -> NDArray[Any]:
        from bench.datasets.formats.labels import checked_labels

        return checked_labels(labels, images=len(images), num_classes=self.num_classes, where=where)

    def _joined(self, parts: Sequence[Part], paths: Sequence[Path]) -> tuple[Part, Part]:
        """The training batches as one part, and the test batch."""
        import numpy as np

        from bench.datasets.formats.labels import check_every_class

        *training, test = parts
        images, labels = (np.concatenate(arrays) for arrays in zip(*training, strict=True))
        for y, name in ((labels, "training"), (test[1], "test")):
            check_every_class(y, num_classes=self.num_classes, where=f"the {name} part in {paths[0].parent}")
        return (images, labels), test


def _text(key: object) -> object:
    """A key that is bytes as text: so does Python 3 read the published batches with `encoding="bytes"`."""
    return key.decode("latin1") if isinstance(key, bytes) else key


def _published(family: Family, python_folder: str, binary_folder: str, *archives: str) -> Published:
    batches = tuple(PYTHON_MD5[family.title])
    return Published(
        title=family.title,
        images=(50_000, 10_000),
        forms=(
            Form("batches in {folder}", batches, family.read_python_batches, (python_folder,)),
            Form("batches in {folder}", batches, family.read_binary_batches, (binary_folder,), (".bin",)),
            *(Form(name, (name,), family.read_archive) for name in archives),
        ),
        fetch=by_class(family.title.replace("-", "")),
        folder=python_folder,
        advice=(
            f"put the folder {python_folder} or {binary_folder}, or {' or '.join(archives)}, into a folder, and name "
            "that"
        ),
    )


_CIFAR100_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR10 = _published(
    Family("CIFAR-10", 10, label_key="labels", label_bytes=1),
    *("cifar-10-batches-py", "cifar-10-batches-bin", "cifar10.npz", "cifar10-subset.npz"),
)
CIFAR100 = _published(
    Family("CIFAR-100", 100, label_key="fine_labels", label_bytes=2),
    *("cifar-100-python", "cifar-100-binary", "cifar100.npz", "cifar100-subset.npz"),
)
register(
    "cifar10",
    summary="50,000 + 10,000 pictures of animals and vehicles, 32x32 colour",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    epochs={"quick": 2, "standard": 20, "paper": 150},
    flip=True,
)(CIFAR10.load)
register(
    "cifar100",
    summary="50,000 + 10,000 pictures of a hundred kinds of things, 32x32 colour",
    class_names=tuple(_CIFAR100_NAMES.split()),
    epochs={"quick": 2, "standard": 20, "paper": 150},
    flip=True,
)(CIFAR100.load)
