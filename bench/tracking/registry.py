"""The trackers there are, by name.

Every module of `trackers/` is imported at the first look-up; other people's packages add theirs through the entry-point
group `noprop_bench.trackers`.
"""

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
"""What pip calls the optional packages of our own."""


class Tracker(Protocol):
    """Hands one finished cell on. It is called in a process of its own, without a terminal."""

    package: str
    """What has to be importable."""

    def log(self, run: Path, result: CellResult) -> str | None:
        """Write down the cell: its settings, every epoch and how it ended.

        Args:
            run: the run's folder.
            result: the cell's last row, failed or not.

        Returns:
            A sentence on where it is to be found, which the user is told once; None: nothing to say. Whatever is
            raised is told in one line, and no more cells are logged.
        """


_T = TypeVar("_T", bound=type[Tracker])
_trackers: dict[str, type[Tracker]] = {}


def register(name: str) -> Callable[[_T], _T]:
    """Class decorator: make a `Tracker` available to `--track` under that name.

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
    """What `--track` accepts beside `none`, sorted."""
    _discover()
    return sorted(_trackers)


def get(name: str) -> Tracker:
    """The tracker of that name.

    Raises:
        UserError: there is none, or the package that it needs is not installed.
    """
    _discover()
    if name not in _trackers:
        raise UserError(f"unknown tracker {name!r}: the trackers are {', '.join(names())}")
    package = _trackers[name].package
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # the latter: only a folder of that name, which W&B leaves where it works
        raise UserError(
            f"--track {name} needs the package {package}, which is not installed: install it (pip install "
            f"'noprop-bench[{EXTRA}]' has what our own trackers need), or leave --track out"
        )
    return _trackers[name]()


@functools.cache
def _discover() -> None:
    """Import every module that registers trackers."""
    load_all(
        "bench.tracking.trackers",
        ENTRY_POINT_GROUP,
        lambda entry_point, error: f"the tracker plug-in {entry_point.name!r} cannot be loaded: {error}",
    )
