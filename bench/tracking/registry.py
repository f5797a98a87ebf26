"""Trackers by name: every module of `trackers/`, and those that other packages add by an entry point."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from bench.errors import UserError
from methods.core.plugins import load_all

if TYPE_CHECKING:
    from results.schema import CellResult

ENTRY_POINT_GROUP = "noprop_bench.trackers"
EXTRA = "track"
"""pip's name for what our own trackers need."""


class Tracker(Protocol):
    """Logs one finished cell. It is called in its own process, without a terminal."""

    package: str
    """Has to be importable."""

    def log(self, run: Path, result: CellResult) -> str | None:
        """Log the cell's settings, every epoch and how it ended.

        Args:
            run: The run's folder.
            result: The cell's last row, failed or not.

        Returns:
            A sentence on where to find it, which the user is told once; None: nothing to say. Whatever is raised is
            told in one line, and no more cells are logged.
        """


_T = TypeVar("_T", bound=type[Tracker])
_trackers: dict[str, type[Tracker]] = {}


def register(name: str) -> Callable[[_T], _T]:
    """Class decorator: make a `Tracker` available to `--track` as `name`.

    Raises:
        ValueError: the name is taken.
    """

    def decorate(cls: _T) -> _T:
        if name in _trackers:
            raise ValueError(f"a tracker named {name!r} is already registered")
        _trackers[name] = cls
        return cls

    return decorate


def names() -> list[str]:
    """What `--track` accepts besides `none`, sorted."""
    _discover()
    return sorted(_trackers)


def get(name: str) -> Tracker:
    """The tracker of that name.

    Raises:
        UserError: there is none, or the package that it needs is not installed.
    """
    if name not in names():
        raise UserError(f"unknown tracker {name!r}: the trackers are {', '.join(names())}")
    package = _trackers[name].package
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # the latter: a mere folder of that name, as W&B leaves
        raise UserError(
            f"--track {name} needs the package {package}, which is not installed: install it (python -m pip install "
            f"'noprop-bench[{EXTRA}]' has what our own trackers need), or leave --track out"
        )
    return _trackers[name]()


@functools.cache
def _discover() -> None:
    """Import every module that registers trackers."""
    load_all("bench.tracking.trackers", ENTRY_POINT_GROUP, "tracker", _trackers)
