"""`cifar10` and `cifar100`: 32x32 colour images, in any of the forms they are passed around in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.download import by_class
from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources


@dataclass(frozen=True)
class Family:
    """What tells one data set of the two, and its files, from the other."""

    title: str
    class_names: tuple[str, ...]
    torchvision_class: str
    python_folder: str
    """Of the Python batches; torchvision's."""
    binary_folder: str
    archives: tuple[str, ...]
    """Names of an `.npz`."""
    label_key: str
    """Under which a Python batch holds the classes."""
    label_bytes: int
    """Before an image's pixels in a binary batch; the last one is the class."""
    test_batch: str
    python_md5: Mapping[str, str]
    """The published MD5 sums of the Python batches, all of them, as in torchvision's `train_list` and `test_list` (a
    test compares; importing it takes seconds)."""


CIFAR10 = Family(
    title="CIFAR-10",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    torchvision_class="CIFAR10",
    python_folder="cifar-10-batches-py",
    binary_folder="cifar-10-batches-bin",
    archives=("cifar10.npz", "cifar10-subset.npz"),
    label_key="labels",
    label_bytes=1,
    test_batch="test_batch",
    python_md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
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
CIFAR100 = Family(
    title="CIFAR-100",
    class_names=tuple(_CIFAR100_NAMES.split()),
    torchvision_class="CIFAR100",
    python_folder="cifar-100-python",
    binary_folder="cifar-100-binary",
    archives=("cifar100.npz", "cifar100-subset.npz"),
    label_key="fine_labels",
    label_bytes=2,
    test_batch="test",
    python_md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
)


@register(
    "cifar10",
    summary="50,000 + 10,000 pictures of animals and vehicles, 32x32 colour",
    class_names=CIFAR10.class_names,
    epochs={"quick": 2, "standard": 20, "paper": 150},
    flip=True,
)
def load_cifar10(data_dir: Path | None) -> RawData:
    """Load CIFAR-10, (N, 3, 32, 32), from its batches, an `.npz`, or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(CIFAR10))


@register(
    "cifar100",
    summary="50,000 + 10,000 pictures of a hundred kinds of things, 32x32 colour",
    class_names=CIFAR100.class_names,
    epochs={"quick": 2, "standard": 20, "paper": 150},
    flip=True,
)
def load_cifar100(data_dir: Path | None) -> RawData:
    """Load CIFAR-100 with its hundred fine classes, (N, 3, 32, 32), from the forms that CIFAR-10 has.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(data_dir, _recipe(CIFAR100))


def _recipe(family: Family) -> Recipe:
    return Recipe(
        title=family.title,
        read=lambda root: read_family(root, family),
        fetch=by_class(family.torchvision_class),
        downloaded_folder=family.python_folder,
        advice=(
            f"put the folder {family.python_folder} or {family.binary_folder}, or {' or '.join(family.archives)}, into "
            f"a folder, and name that with --data-dir or the environment variable {DATA_VARIABLE}"
        ),
    )


def read_family(root: Path, family: Family) -> RawData | None:
    """Read a data set of the two from a data folder (or from a folder of batches itself), or None if it holds none.

    Of several forms in one folder the Python batches come first: only they can be verified.

    Raises:
        UserError: a form is there, but incomplete, damaged or not this data set's.
    """
    from bench.datasets.formats import cifar

    for name, suffix, read in (
        (family.python_folder, "", cifar.read_python_batches),
        (family.binary_folder, ".bin", cifar.read_binary_batches),
    ):
        for folder, label in folders_named(root, (name,)):
            if any((folder / f"{batch}{suffix}").is_file() for batch in family.python_md5):
                return read(family, folder, f"batches in {label}")
    for name in family.archives:
        if (root / name).is_file():
            return cifar.read_archive(family, root / name, name)
    return None
