"""Where data come from, in this order: the user's folder, the cache, the system, a download into the cache.

A place that does not hold the data set is passed over; one that holds it damaged is an error, never passed over.
"""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.registry import RawData

DATA_VARIABLE = "NOPROP_DATA"
"""Environment variable that names the user's data folder where none is given."""
SYSTEM_ROOT = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put their files."""


@dataclass(frozen=True)
class Recipe:
    """How one data set is recognised and fetched."""

    title: str
    """As published: `Fashion-MNIST`."""
    read: Callable[[Path], RawData | None]
    """Reads the data set from a data folder; None where it is not there, `UserError` where it is damaged."""
    fetch: Callable[[Path], None]
    """Downloads it into a folder, where `read` then finds it; raises whatever torchvision and urllib raise."""
    downloaded_folder: str
    """The folder, inside that one, that holds the files."""
    advice: str
    """What a user without it can do: `put its four IDX files ...`."""


def data_root(data_dir: Path | None) -> Path | None:
    """Return the user's data folder: `data_dir` if given, else `$NOPROP_DATA` if set and not empty, else None.

    Raises:
        UserError: the folder does not exist, is not a folder, or cannot be read.
    """
    variable = os.environ.get(DATA_VARIABLE)
    if data_dir is not None:
        root, origin = data_dir, "the data folder"
    elif variable:
        root, origin = Path(variable), f"the data folder in {DATA_VARIABLE}"
    else:
        return None
    try:
        if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
            return root
        problem = "may not be read" if root.is_dir() else "is not a folder" if root.exists() else "does not exist"
    except PermissionError:  # of a folder above it
        problem = "may not be read"
    raise UserError(f"{origin} {root} {problem}; expected a folder that holds data sets")


def cache_root() -> Path:
    """Return the folder that downloads go into (it need not exist)."""
    from platformdirs import user_cache_path

    return user_cache_path("noprop-bench")


def load_from_sources(data_dir: Path | None, recipe: Recipe) -> RawData:
    """Load a data set from the first place that holds it, downloading it if none does.

    Args:
        data_dir: The user's data folder, if given; `data_root` decides.
        recipe: The data set.

    Raises:
        UserError: the folder given is of no use, a place holds damaged files, or no place holds the data set and it
            cannot be downloaded.
    """
    cache = cache_root()
    places = {"user cache": cache, "system": SYSTEM_ROOT}
    if (user_root := data_root(data_dir)) is not None:
        places = {"data folder": user_root} | places
    for place, root in places.items():
        if not os.access(root, os.R_OK | os.X_OK):
            continue
        try:
            raw = recipe.read(root)
        except OSError as error:
            raise UserError(f"cannot read {error.filename or root}: {error.strerror or error}") from None
        if raw is not None:
            return dataclasses.replace(raw, source=f"{raw.source} ({place})")

    from bench.datasets.download import DownloadError, download

    try:
        raw = download(recipe, cache)
    except DownloadError as error:
        looked = [f"{root} ({place})" for place, root in places.items()]
        raise UserError(
            f"{recipe.title} is not in {', '.join(looked[:-1])} or {looked[-1]}, and it could not be downloaded "
            f"({textwrap.shorten(str(error), 200, placeholder=' ...')}): {recipe.advice}"
        ) from None
    return dataclasses.replace(raw, source=f"{raw.source} (user cache)")


def folders_named(root: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the folders where a data set's files may lie under a root, with a short name for people.

    These are `root/name/raw` (torchvision's layout) and `root/name`. The root itself, and its `raw`, count only where
    the root's own name is one of `names` (or it is the `raw` of such a folder): files of different data sets bear the
    same names, so the folder's name is what tells them apart.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100  (resolve() would follow links, and a link's name is a name too)
    for name in names:
        yield root / name / "raw", f"{name}/raw"
        yield root / name, name
    if root.name in names:
        yield root / "raw", f"{root.name}/raw"
        yield root, root.name
    elif root.name == "raw" and root.parent.name in names:
        yield root, f"{root.parent.name}/raw"
