"""The picture files in a folder: each once, nothing that the system or another program left there."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from results.files import printable

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k"),
)
"""What the names of pictures end in, whatever the case: formats that every build of Pillow reads."""
_HIDDEN = "hidden or system files"
_LINKS = "links to files that count elsewhere"
_BESIDE = "files in folders that are no part"
_THUMBNAILS = "thumbnails of other files"
_OUTSIDE = "files outside the folders of classes"
_UNNAMED = "files without an ending"
_SYSTEM = frozenset({"@eadir", "__macosx", "$recycle.bin", "system volume information", "lost+found", "#recycle"})
"""Folders of NAS boxes, archives and file systems, lower case."""
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
_THUMBNAIL_FOLDERS = frozenset({"thumbs", "thumbnails", "_thumbs", "_thumbnails"})
_THUMBNAIL = re.compile(
    r"(?:thumb(?:nail)?s?[-_. ](?P<a>.+)|(?P<b>.+?)[-_. ](?:thumb(?:nail)?s?|\d+x\d+))", re.IGNORECASE
)


def is_system(name: str) -> bool:
    """Whether a system left a file or folder of this name: a hidden one (`._x`, `~$x`), or one of those it knows."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM or name.lower() in _SYSTEM_FILES


def class_folders(part: Path) -> dict[str, list[Path]]:
    """The folders in a part by class name in Unicode's composed form (NFC), so that é is é however it is written.

    Raises:
        OSError: the part is missing or cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for entry in sorted(part.iterdir()):
        if entry.is_dir() and not is_system(entry.name):
            found.setdefault(unicodedata.normalize("NFC", entry.name), []).append(entry)
    return dict(sorted(found.items()))


def is_class(folder: Path) -> bool:
    """Whether a folder has pictures directly in it, and no folders; one that cannot be read has neither."""
    with contextlib.suppress(OSError):
        return not class_folders(folder) and any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
    return False


@dataclass
class Walker:
    """Walks the folders of one part. A file counts once, in the folder that it lies in rather than is linked from."""

    passed_over: Counter[str] = field(default_factory=Counter)
    """How many files were, by what they are."""
    _seen: set[tuple[int, int]] = field(default_factory=set)
    """(device, number) of folders entered and files counted."""

    def walk(self, classes: Sequence[Sequence[Path]]) -> list[list[Path]]:
        """The pictures of each class, sorted by folder, then by name.

        Args:
            classes: The folders of each class.

        Raises:
            OSError: a folder cannot be read.
        """
        found: list[list[Path]] = [[] for _ in classes]
        links: list[tuple[int, Path]] = []
        for is_link in (False, True):  # what lies in a class folder first, then what is linked there
            for number, folders in enumerate(classes):
                for folder in folders:
                    if folder.is_symlink() is is_link:
                        found[number] += self._files(folder, number, links)
        for number, path in links:  # grows: links in linked folders
            if not path.is_dir():
                found[number] += self._file(path)
            elif path.parent.resolve().is_relative_to(path.resolve()):  # up to a folder that it lies in
                self.passed_over[_LINKS] += 1
            else:
                found[number] += self._files(path, number, links)
        return [sorted(paths, key=lambda path: (str(path.parent), path.name)) for paths in found]

    def beside(self, parts: Sequence[Path]) -> None:
        """Count the pictures and the files in folders that lie beside the parts."""
        for entry in parts[0].parent.iterdir():
            if is_system(entry.name):
                continue
            if entry.is_dir():
                if not any(entry.samefile(part) for part in parts):  # a part may be a link to a folder beside it
                    self.passed_over[_BESIDE] += _count(entry)
            elif entry.suffix.lower() in SUFFIXES:
                self.passed_over[_OUTSIDE] += 1

    def outside(self, part: Path) -> None:
        """Count the files of a part that lie in no folder of a class."""
        for entry in part.iterdir():
            if is_system(entry.name):
                self.passed_over[_HIDDEN] += _count(entry)
            elif not entry.is_dir():
                self.passed_over[_OUTSIDE] += 1

    def _files(self, folder: Path, number: int, links: list[tuple[int, Path]]) -> Iterator[Path]:
        if not self._is_new(folder):
            self.passed_over[_LINKS] += 1
            return
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        stems = {Path(entry.name).stem for entry in listed if Path(entry.name).suffix.lower() in SUFFIXES}
        for entry in listed:
            path = Path(entry.path)
            if is_system(entry.name):
                self.passed_over[_HIDDEN] += _count(path)
            elif entry.name.lower() in _THUMBNAIL_FOLDERS and path.is_dir():
                self.passed_over[_THUMBNAILS] += _count(path)
            elif entry.is_symlink():
                links.append((number, path))
            elif entry.is_dir():
                yield from self._files(path, number, links)
            elif (match := _THUMBNAIL.fullmatch(path.stem)) and (match["a"] or match["b"]) in stems:
                self.passed_over[_THUMBNAILS] += 1
            else:
                yield from self._file(path)

    def _file(self, path: Path) -> list[Path]:
        """The file, if it is a picture that has not been counted."""
        suffix = path.suffix.lower()
        if not path.is_file():  # a link that leads nowhere, a socket
            self.passed_over["broken links and other things that are no files"] += 1
        elif suffix not in SUFFIXES:
            self.passed_over[f"{printable(suffix)} files" if suffix else _UNNAMED] += 1
        elif not self._is_new(path):
            self.passed_over[_LINKS] += 1
        else:
            return [path]
        return []

    def _is_new(self, path: Path) -> bool:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def _count(path: Path) -> int:
    """How many files a path is, those in a folder counted; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return 1
    return sum(len(files) for _, _, files in os.walk(path))
