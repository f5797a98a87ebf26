"""`cifar10`: 32x32 colour images, in any of the forms it is passed around in."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.registry import RawData, register
from bench.datasets.sources import DATA_VARIABLE, Recipe, folders_named, load_from_sources

_PYTHON_FOLDER = "cifar-10-batches-py"
_BINARY_FOLDER = "cifar-10-batches-bin"
_ARCHIVES = ("cifar10.npz", "cifar10-subset.npz")


@register(
    "cifar10",
    summary="50,000 + 10,000 pictures of animals and vehicles, 32x32 colour",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    epochs={"quick": 2, "standard": 20, "paper": 150},
)
def load_cifar10(data_dir: Path | None) -> RawData:
    """Load CIFAR-10, (N, 3, 32, 32), from its batches, an `.npz`, or torchvision's download.

    Raises:
        UserError: see `bench.datasets.sources.load_from_sources`.
    """
    return load_from_sources(
        data_dir,
        Recipe(
            title="CIFAR-10",
            read=read_cifar10,
            torchvision_class="CIFAR10",
            downloaded_folder=_PYTHON_FOLDER,
            advice=(
                f"put the folder {_PYTHON_FOLDER} or {_BINARY_FOLDER}, or {' or '.join(_ARCHIVES)}, into a folder, and "
                f"name that with --data-dir or the environment variable {DATA_VARIABLE}"
            ),
        ),
    )


def read_cifar10(root: Path) -> RawData | None:
    """Read CIFAR-10 from a data folder (or from a folder of batches itself), or return None if it holds none.

    Of several forms in one folder the Python batches come first: only they can be verified.

    Raises:
        UserError: a form is there, but incomplete, damaged or not CIFAR-10.
    """
    from bench.datasets.formats import cifar

    for name, suffix, read in (
        (_PYTHON_FOLDER, "", cifar.read_python_batches),
        (_BINARY_FOLDER, ".bin", cifar.read_binary_batches),
    ):
        for folder, label in folders_named(root, (name,)):
            if any((folder / f"{batch}{suffix}").is_file() for batch in cifar.BATCHES):
                return read(folder, f"batches in {label}")
    for name in _ARCHIVES:
        if (root / name).is_file():
            return cifar.read_archive(root / name, name)
    return None
