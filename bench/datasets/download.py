"""The last resort: a download by torchvision, into the user's cache, all or nothing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.datasets.registry import RawData
    from bench.datasets.sources import Recipe

_TIMEOUT_SECONDS = 20.0
"""Longest wait for an answer; torchvision itself sets none and would wait for ever."""


class DownloadError(Exception):
    """The data set could not be downloaded; the message says why, for a sentence to quote."""


def download(recipe: Recipe, cache: Path) -> RawData:
    """Download a data set into the cache and read it from there.

    The files go into a folder of their own, and take their place in the cache only once they match the published
    checksums: an interrupted download leaves nothing that could be taken for the data set.

    Raises:
        DownloadError: no network, no disk, or files that are not those published.
    """
    print(f"downloading {recipe.title} into {cache}", file=sys.stderr)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache, ignore_cleanup_errors=True) as name:
            fetch(recipe, Path(name))
            raw = recipe.read(Path(name))
            if raw is None or not raw.verified:
                raise DownloadError("what came does not match the published checksums")
            _move(Path(name) / recipe.downloaded_folder, cache / recipe.downloaded_folder)
            return raw
    except DownloadError:
        raise
    except Exception as error:  # urllib, http, tarfile, torchvision: each has its own ways to say no
        raise DownloadError(" ".join(str(error).split()) or type(error).__name__) from error


def fetch(recipe: Recipe, folder: Path) -> None:
    """Download a data set into a folder, the progress bar on standard error.

    Raises:
        Exception: whatever torchvision and urllib raise.
    """
    with _timeout(), contextlib.redirect_stdout(sys.stderr):
        recipe.fetch(folder)


def by_class(name: str) -> Callable[[Path], None]:
    """A `Recipe.fetch` that lets a class of `torchvision.datasets` download into a folder."""

    def fetch_into(folder: Path) -> None:
        import torchvision.datasets

        getattr(torchvision.datasets, name)(folder, train=False, download=True)

    return fetch_into


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _move(new: Path, place: Path) -> None:
    """Put a finished folder in its place in one step. If another process was faster, its copy is as good: keep it."""
    try:
        new.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(new)
