"""Discovery for registries: the modules of one of our packages, and the entry points of other people's."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NOT_FOUND = "is yours installed, with python -m pip install -e FOLDER?"
"""Said where a name is not known: what people write themselves is found once it is installed."""


def load_all(package: str, group: str, kind: str, *registered: dict[str, Any]) -> tuple[str, ...]:
    """Import the package's modules (not its subpackages), then the group's entry points, which cannot take our names.

    Standard output is not theirs: what they print goes to standard error. What they change in PyTorch for the whole
    process is changed back, and said.

    Args:
        package: Ours.
        group: Of entry points.
        kind: What they add, for people.
        registered: What they have added so far. An entry point that fails to load, whatever it raises, adds nothing.

    Returns:
        For each of those a sentence, which has been said on standard error.
    """
    from importlib.metadata import entry_points  # here, since `--help` need not wait for it

    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.ispkg:
            importlib.import_module(f"{package}.{module.name}")
    left_out = []
    for entry_point in entry_points(group=group):
        plug_in = f"the {kind} plug-in {entry_point.name!r} ({entry_point.value})"
        before = [dict(names) for names in registered]
        changed, error = _load(entry_point)
        if changed:
            _note(f"{plug_in} changes PyTorch's {changed} when it is imported, which is changed back")
        if error is not None:
            left_out.append(_note(f"{plug_in} was left out: {type(error).__name__}: {error}"))
            for names, kept in zip(registered, before, strict=True):
                names.clear()
                names.update(kept)
    return tuple(left_out)


def _load(entry_point: EntryPoint) -> tuple[str, BaseException | None]:
    """What the import changed in PyTorch, as `restore` says it, and how it failed."""
    settings = importlib.import_module("methods.core.torch_settings") if "torch" in sys.modules else None
    before = settings.read() if settings else {}
    failure: BaseException | None = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            entry_point.load()
    except (Exception, SystemExit) as error:
        failure = error
    changed: str = settings.restore(before) if settings else ""
    return changed, failure


def _note(text: str) -> str:
    """Say it in one line, with escapes for what could control a terminal."""
    characters = " ".join(text.split())
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in characters)
    print(f"note: {line}", file=sys.stderr)
    return line
