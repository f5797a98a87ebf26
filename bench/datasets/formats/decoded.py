"""Pictures as arrays, decoded once: what took long is kept in the user's cache folder, for other cells and later runs.

Kept is one file for each data set. Its key is made of the pictures' paths, sizes and times of change, so a picture that
was changed, added or removed has all decoded anew. So has a file that is damaged, and a cache that cannot be written
is gone without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from bench.datasets import sources
from bench.datasets.formats.image_file import UnreadableError
from bench.errors import UserError

VARIABLE = "NOPROP_KEEP_DECODED"
"""Environment variable; 0: nothing is kept, and nothing kept is used."""
WORTH_SECONDS = 1.0
"""Decoding that takes less is not worth a file."""
_FORM = "2"
"""Of what is kept; a change of how pictures are read has the next number."""
_NAMED = 5
"""Pictures that an error names, where many cannot be read."""


def read_pictures(
    parts: Sequence[Sequence[Path]], name: str, decode: Callable[[Path, int], NDArray[np.uint8]]
) -> list[NDArray[np.uint8]]:
    """The pictures of each part as one array, (N, C, H, W).

    Args:
        parts: Their files; none is empty.
        name: The data set's, with all the options that decide what `decode` returns.
        decode: Reads one picture, (C, H, W), all of one shape; its second argument is how many there are in all.

    Raises:
        UserError: pictures cannot be read, or do not fit into memory.
    """
    is_kept = os.environ.get(VARIABLE) != "0" and sources.cache_root().is_absolute()
    path = sources.cache_root() / "decoded" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.npz"
    key = _key(parts, name) if is_kept else ""
    if is_kept and (found := _kept(path, key, parts)):
        return found
    start = time.monotonic()
    arrays = _decode_all(parts, decode)
    if is_kept and time.monotonic() - start >= WORTH_SECONDS:
        _keep(path, key, arrays)
    return arrays


def _decode_all(
    parts: Sequence[Sequence[Path]], decode: Callable[[Path, int], NDArray[np.uint8]]
) -> list[NDArray[np.uint8]]:
    total = sum(map(len, parts))
    shape: tuple[int, ...] | None = None
    arrays: list[NDArray[np.uint8]] = []
    refused: dict[Path, UserError] = {}
    for number, index, path in _with_progress([(n, i, p) for n, part in enumerate(parts) for i, p in enumerate(part)]):
        try:
            image = decode(path, total)
        except UnreadableError as error:  # go on: all of them are named at once
            refused[path] = error
            continue
        if shape is None:
            shape = image.shape
            try:
                arrays = [np.empty((len(part), *shape), np.uint8) for part in parts]
            except MemoryError as error:
                raise UserError(f"{total:,} pictures do not fit into memory ({error}): write [size=32]") from None
        arrays[number][index] = image
    if refused:
        others = [str(path) for path in refused][1:]
        more = f", {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        also = f"; nor are {', '.join(others[:_NAMED])}{more}" if others else ""
        raise UserError(f"{next(iter(refused.values()))}{also}")
    return arrays


def _with_progress(items: Sequence[tuple[int, int, Path]]) -> Iterator[tuple[int, int, Path]]:
    """Say on standard error how far it is: each second on a terminal, elsewhere after one and then each half minute."""
    shown = time.monotonic()
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    count = 0
    for done, item in enumerate(items):
        if time.monotonic() - shown >= (1 if is_terminal or not count else 30):
            start, end = ("\r", "") if is_terminal else ("", "\n")
            print(f"{start}reading pictures: {done:,} of {len(items):,}", end=end, file=sys.stderr, flush=True)
            shown, count = time.monotonic(), count + 1
        yield item
    if count and is_terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _key(parts: Sequence[Sequence[Path]], name: str) -> str:
    """Differs if any picture was changed: `st_ctime` shows what keeps size and `st_mtime`."""
    digest = hashlib.sha256(f"{_FORM} {PIL.__version__} {name}".encode())
    for part in parts:
        digest.update(b"\npart")
        for path in part:
            status = path.stat()
            facts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            digest.update(f"\n{path}\0{facts}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _kept(path: Path, key: str, parts: Sequence[Sequence[Path]]) -> list[NDArray[np.uint8]] | None:
    """What was kept under this key, if it is sound: the archive has a checksum of each array."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None
            arrays = [archive[f"part{number}"] for number in range(len(parts))]
    except Exception:  # not there or damaged, which can raise anything
        return None
    sound = [
        array.dtype == np.uint8 and array.ndim == 4 and len(array) == len(part)
        for array, part in zip(arrays, parts, strict=True)
    ]
    return arrays if all(sound) else None


def _keep(path: Path, key: str, arrays: Sequence[NDArray[np.uint8]]) -> None:
    """Put the arrays in their place in one step, so that others find all of them or nothing."""
    with contextlib.suppress(OSError):  # the disk is full, or not to be written to
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-", ignore_cleanup_errors=True) as name:
            made = Path(name) / path.name
            content: dict[str, Any] = {f"part{number}": array for number, array in enumerate(arrays)}
            np.savez(made, key=np.array(key), **content)
            made.replace(path)
