"""Data sets that are published as files: how they are recognised, and where they come from.

They are looked for in the user's folder if one is given, and it is an error if they are not there. Otherwise they are
looked for in the cache and the system's folder, in this order, and else downloaded. A damaged copy is an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import socket
import struct
import sys
import tempfile
import textwrap
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench.datasets.registry import RawData
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DATA_VARIABLE = "NOPROP_DATA"
"""Environment variable that names the user's data folder if none is given."""
SYSTEM_ROOT = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put their files."""
_TIMEOUT_SECONDS = 20.0
"""Longest wait for an answer from a server; torchvision sets none and would wait for ever."""

Part: TypeAlias = "tuple[NDArray[np.uint8], NDArray[np.int64]]"
"""Images (N, C, H, W) and labels (N,), as in `RawData`."""


@dataclass(frozen=True)
class Form:
    """One form in which a data set's files are passed around."""

    source: str
    """For people: `IDX files in {folder}`."""
    files: tuple[str, ...]
    """A folder with some of them, but not all, is a damaged data set."""
    read: Callable[[Sequence[Path]], tuple[Part, Part, bool | None]]
    """Given the files in this order: training part, test part, `RawData.verified`. `UserError` if they are damaged."""
    folders: tuple[str, ...] = ()
    """Names of the folder that holds the files, as in `folders_named`; without any, it is the data folder itself."""
    suffixes: tuple[str, ...] = ("",)
    """What the files' names may end in, first choice first."""
    spellings: Callable[[str], tuple[str, ...]] = lambda name: (name,)
    """How a file's name may be spelt, first choice first."""

    def find(self, root: Path, title: str) -> tuple[list[Path], str] | None:
        """The files under a data folder and the short name of the folder they are in; None if there is not even one.

        Raises:
            UserError: some of them are missing.
        """
        for folder, label in folders_named(root, self.folders) if self.folders else ((root, ""),):
            choices = [
                [folder / f"{spelt}{suffix}" for spelt in self.spellings(name) for suffix in self.suffixes]
                for name in self.files
            ]
            paths = [next(filter(Path.is_file, choice), None) for choice in choices]
            found = [path for path in paths if path is not None]
            if found and None in paths:
                missing = choices[paths.index(None)][0]
                raise UserError(f"{missing} is missing; {title} is {len(paths)} files: {', '.join(self.files)}")
            if found:
                return found, label
        return None


@dataclass(frozen=True)
class Published:
    """A published data set; `register(...)(published.load)` makes it available."""

    title: str
    """As published: `Fashion-MNIST`."""
    images: tuple[int, int]
    """How many training and test images there are in all."""
    forms: tuple[Form, ...]
    """In the order in which they are looked for."""
    fetch: Callable[[Path], None]
    """Downloads it into a folder, in one of the forms; raises whatever torchvision and urllib raise."""
    folder: str
    """The folder, inside that one, that then has the files."""
    advice: str
    """What a user without it can do, before `and name ... with --data-dir`: `put gzip.zip into a folder`."""

    def load(self, data_dir: Path | None) -> RawData:
        """Load it from the user's data folder, if there is one; else from the first place that has it, or download it.

        Raises:
            UserError: the user's data folder cannot be used or does not have it, a place has a damaged copy, or no
                place has the data set and it cannot be downloaded.
        """
        cache, user_root = cache_root(), data_root(data_dir)
        given = {} if user_root is None else {"data folder": user_root}
        places = given or {"user cache": cache, "system": SYSTEM_ROOT}
        for place, root in places.items():
            if not os.access(root, os.R_OK | os.X_OK):
                continue
            try:
                raw = self.read(root)
            except OSError as error:
                raise UserError(f"cannot read {error.filename or root}: {error.strerror or error}") from None
            if raw is not None:
                return dataclasses.replace(raw, source=f"{raw.source} ({place})")
        if given:  # another copy, from elsewhere, is not what was asked for
            raise UserError(
                f"{self.title} is not in {user_root} (data folder): {self.advice} with --data-dir or the environment "
                f"variable {DATA_VARIABLE}; without either, it is looked for in {cache} and {SYSTEM_ROOT}, and else "
                "downloaded"
            )
        try:
            raw = self._download(cache)
        except Exception as error:  # urllib, http, tarfile, torchvision: each has its own ways to say no
            *looked, last = (f"{root} ({place})" for place, root in places.items())
            reason = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" ...")
            raise UserError(
                f"{self.title} is not in {', '.join(looked)} or {last}, and it could not be downloaded ({reason}): "
                f"{self.advice} with --data-dir or the environment variable {DATA_VARIABLE}"
            ) from None
        return dataclasses.replace(raw, source=f"{raw.source} (user cache)")

    def read(self, root: Path) -> RawData | None:
        """Read it from a data folder; None if it is not there.

        Raises:
            UserError: a file is missing, damaged, or not this data set's.
            OSError: a file cannot be read.
        """
        for form in self.forms:
            if found := form.find(root, self.title):
                paths, label = found
                train, test, verified = form.read(paths)
                partial = len(train[0]) < self.images[0] or len(test[0]) < self.images[1]
                source = form.source.format(folder=label)
                others = {f"{path.name}, which differs from the .gz file that is used": 1 for path in _others(paths)}
                return RawData(*train, *test, source=source, verified=verified, partial=partial, passed_over=others)
        return None

    def _download(self, cache: Path) -> RawData:
        """Download into the cache, all or nothing.

        The files go into a folder of their own, and take their place in one step once their checksums are verified:
        an interrupted download leaves nothing that could be taken for the data set.
        """
        if not cache.is_absolute():  # a folder `~` in the working directory is not meant
            raise ValueError("there is no home folder to keep it in")
        print(f"downloading {self.title} into {cache}", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache, ignore_cleanup_errors=True) as name:
            fetch(self, Path(name))
            raw = self.read(Path(name))
            if raw is None or not raw.verified:
                raise ValueError("what came does not match the published checksums")
            try:
                (Path(name) / self.folder).rename(cache / self.folder)
            except OSError:
                if not (cache / self.folder).is_dir():  # else another process was faster: its copy is as good
                    raise
            return raw


def _others(paths: Sequence[Path]) -> Iterator[Path]:
    """Unpacked files that lie beside the gzipped ones that were read, and have other contents."""
    for path in paths:
        plain = path.with_suffix("")
        if path.suffix == ".gz" and plain.is_file() and os.access(plain, os.R_OK):
            data, packed = plain.read_bytes(), path.read_bytes()
            end = struct.pack("<II", zlib.crc32(data), len(data) % 2**32)  # of a gzip file with these contents
            if data != packed and not packed.endswith(end):
                yield plain


def fetch(published: Published, folder: Path) -> None:
    """Download a data set into a folder; the progress bar goes to standard error.

    Raises:
        Exception: whatever torchvision and urllib raise.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            published.fetch(folder)
    finally:
        socket.setdefaulttimeout(before)


def by_class(name: str) -> Callable[[Path], None]:
    """A `Published.fetch` that lets a class of `torchvision.datasets` download into a folder."""

    def fetch_into(folder: Path) -> None:
        import torchvision.datasets

        getattr(torchvision.datasets, name)(folder, train=False, download=True)

    return fetch_into


def spellings(name: str) -> tuple[str, ...]:
    """An IDX file's name as published, and as some programs unpack it: `train-images.idx3-ubyte`."""
    return name, name.replace("-idx", ".idx")


def data_root(data_dir: Path | None) -> Path | None:
    """Return the user's data folder: `data_dir` if given, else `$NOPROP_DATA` if set and not empty, else None.

    Raises:
        UserError: the folder does not exist, is not a folder, or cannot be read.
    """
    root, origin = data_dir, "the data folder"
    if root is None:
        if not os.environ.get(DATA_VARIABLE):
            return None
        root, origin = Path(os.environ[DATA_VARIABLE]), f"the data folder in {DATA_VARIABLE}"
    try:
        if root.suffix == ".npz" and root.is_file():  # data of one's own, which --resume is told the new place of
            return root
        if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
            return root
        problem = "may not be read" if root.is_dir() else "is not a folder" if root.exists() else "does not exist"
    except PermissionError:  # of a folder above it
        problem = "may not be read"
    raise UserError(f"{origin} {root} {problem}; expected a folder with data sets")


def cache_root() -> Path:
    """The folder that downloads go into; it need not exist."""
    from platformdirs import user_cache_path

    return user_cache_path("noprop-bench")


def folders_named(root: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the folders where a data set's files may be under a root, each with a short name for people.

    These are `root/name/raw` (torchvision's layout) and `root/name`. The root itself, and its `raw`, count only if
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


def md5_of(path: Path) -> str:
    """The MD5 sum of a file in hexadecimal, with which most data sets are published: it tells damage, not forgery.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
