"""How methods are measured: data sets, the shared training loop, the meters, and a process for each cell.

    from bench import load_results, run_cells

Importing this package is cheap: what these need is imported when they are called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import load_results, run_cells
    from bench.errors import UserError

__all__ = ["UserError", "load_results", "run_cells"]


def __getattr__(name: str) -> Any:
    """Import what is exported only when it is asked for, so that no module of the package waits for it."""
    if name in __all__:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _OurPackages:
    """Finds the other packages beside this one, and no folder of that name in the working directory."""

    HOME = str(Path(__file__).resolve().parents[1])
    NAMES = ("methods", "results", "reports")

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [cls.HOME]) if name in cls.NAMES else None


sys.meta_path.insert(0, _OurPackages)
import_module("results")  # whose import sees to the working directory
