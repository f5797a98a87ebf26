"""The package that a method comes from, where that is not this project: its name, version and a hash of its files."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from methods.core.method import Method
from methods.core.registry import ENTRY_POINT_GROUP

_OWN = "methods"


def package_of(cls: type[Method]) -> str | None:
    """`my-method 0.1.0 (files 3f9a...)`, as `Environment.package` has it of this project; None: it is of this project.

    The files are those of all modules that the package brings, wherever they are: an editable installation has them in
    the user's folder. A class that belongs to no installed package has its module's name and no version.
    """
    top = cls.__module__.partition(".")[0]
    if top == _OWN:
        return None
    distribution = _distribution(cls.__module__)
    modules = {top}
    if distribution is not None:
        modules |= {point.module.partition(".")[0] for point in distribution.entry_points}
        modules |= {*(distribution.read_text("top_level.txt") or "").split()}
    digest = hashlib.sha256()
    for module in sorted(modules - {_OWN}):
        for name, file in _files(module):
            digest.update(f"{name}\n".encode() + file.read_bytes())
    known = f"{distribution.name} {distribution.version}" if distribution is not None else f"{top} unknown version"
    return f"{known} (files {digest.hexdigest()[:12]})"


def _distribution(module: str) -> metadata.Distribution | None:
    """The installed package with an entry point for the module, or for one beside it."""
    points = [point for point in metadata.entry_points(group=ENTRY_POINT_GROUP) if point.dist is not None]
    for near in (module, module.rpartition(".")[0], module.partition(".")[0]):
        for point in points:
            if near and (point.module == near or point.module.startswith(f"{near}.")):
                return point.dist
    return None


def _files(module: str) -> Iterator[tuple[str, Path]]:
    """A module's files and their names in it: its own, or all that are in its folder; not what Python made of them."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    for folder in map(Path, spec.submodule_search_locations or ()):
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if "__pycache__" not in name.parts and not name.name.startswith(".") and file.is_file():
                yield f"{module}/{name.as_posix()}", file
    if spec.submodule_search_locations is None and spec.origin is not None and Path(spec.origin).is_file():
        yield module, Path(spec.origin)
