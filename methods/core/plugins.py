"""What every registry fills itself from: the modules of a package of ours, and other people's entry points."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def load_all(package: str, group: str, warning: Callable[[EntryPoint, BaseException], str]) -> None:
    """Import every module that registers something: our own first, so that no plug-in takes their names.

    Args:
        package: Whose modules are imported, but for packages in it.
        group: The entry points that other people's packages may have.
        warning: What to say of one that cannot be loaded: whatever it raises, the rest must work.
    """
    from importlib.metadata import entry_points  # here, since `--help` need not wait for it

    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.ispkg:
            importlib.import_module(f"{package}.{module.name}")
    for entry_point in entry_points(group=group):
        try:
            entry_point.load()
        except (Exception, SystemExit) as error:
            warnings.warn(warning(entry_point, error), stacklevel=3)
