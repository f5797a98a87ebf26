"""Names of files, looking at paths that a user gave, and writing a file whole or not at all."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STUDY_FILE = "study.jsonl"
"""The trials of a search by `bench.tune`, in its folder."""


def file_stem(dataset: str) -> str:
    """The data set's name in file names: unchanged, unless it is a path (`npz:/data/photos.npz`).

    A path becomes its last part without options, plus a few letters of the whole name's checksum, which keep apart
    names that look alike.
    """
    scheme, colon, path = dataset.partition(":")
    if not colon:
        return dataset
    last = re.split(r"[/\\]", re.sub(r"\[[^\[\]]*\]$", "", path))[-1]
    stem = re.sub(r"[^a-z0-9]+", "-", f"{scheme}-{last}".lower()).strip("-")[:40]
    return f"{stem}-{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not TOML, or in no such encoding.
    """
    data = path.read_bytes()
    try:
        return tomllib.loads(data.decode(json.detect_encoding(data)))  # by where its first bytes are 0
    except RecursionError:
        raise ValueError("its lists or tables are nested too deeply") from None


def cell_stem(dataset: str, method: str, seed: int) -> str:
    """A cell's name in file names.

    A few letters of a checksum keep a label apart from others that look alike once it is shortened, brackets are
    removed and, as on some disks, capitals do not count.
    """
    label = re.sub(r"[^A-Za-z0-9=,_-]+", "-", method).strip("-")[:100]
    if label != method.lower():
        label += f"-{hashlib.sha256(method.encode()).hexdigest()[:8]}"
    return f"{file_stem(dataset)}.{label}.seed{seed}"


def is_dir(path: Path) -> bool:
    """False where `Path.is_dir` raises: a folder above may not be entered, or the name is too long for the disk."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """The same for `Path.is_file`."""
    return os.path.isfile(path)  # noqa: PTH113


def printable(text: object) -> str:
    """The text, with escapes for what could control a terminal or is no text: names in files are not to be trusted."""
    return str(text) if str(text).isprintable() else repr(str(text))[1:-1]


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(f"{error.filename} is not a folder") from None


def write_folder(folder: Path, last: str, make: Callable[[Path], None]) -> None:
    """Put all files that `make` writes into a folder, or none of them if it fails.

    Args:
        folder: Made if needed; other files in it stay.
        last: The file that is put there when all others are: the links in it are never dead.
        make: Given an empty folder to write to.

    Raises:
        OSError: the folder cannot be written to.
    """
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as scratch:
        make(Path(scratch))
        made = sorted(path.relative_to(scratch) for path in Path(scratch).rglob("*") if path.is_file())
        for path in made:
            if is_dir(folder / path):
                raise IsADirectoryError(f"{folder / path} is a folder")
        for parent in {path.parent for path in made}:
            (folder / parent).mkdir(exist_ok=True)
        for path in sorted(made, key=Path(last).__eq__):
            (Path(scratch) / path).replace(folder / path)


@contextlib.contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Give a path to write to, whose file then takes the place of `path`. On an error, `path` is as it was before."""
    aside = path.with_suffix(".part")
    try:
        yield aside
        with aside.open("rb+") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
