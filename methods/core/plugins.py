"""Discovery for registries: the modules of one of our packages, and the entry points of other people's."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def load_all(package: str, group: str, warning: Callable[[EntryPoint, BaseException], str]) -> None:
    """Import every module that registers something: ours first, so that no plug-in takes their names.

    Args:
        package: its modules are imported, its subpackages are not.
        group: of the entry points.
        warning: the text for one that fails to load. Whatever it raises, the rest must work.
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
