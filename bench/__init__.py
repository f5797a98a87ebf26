"""How methods are measured: data sets, the shared training loop, the meters, and a process for each cell.

    from bench import load_results, run_cells

Importing this package is cheap: what these need is imported when they are called.
"""

from __future__ import annotations

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
