"""Discovery for registries: the modules of one of our packages, and the entry points of other people's."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NOT_FOUND = "is yours installed, with python -m pip install -e FOLDER?"
"""Said where a name is not known: what people write themselves is found once it is installed."""


def load_all(package: str, group: str, warning: Callable[[EntryPoint, BaseException], str]) -> None:
    """Import the package's modules (not its subpackages), then the group's entry points, which cannot take our names.

    An entry point that fails to load, whatever it raises, costs only the warning with the given text.
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
