"""Read pickles of NumPy arrays without trusting them.

A pickle is a program, and `pickle.load` runs whatever it names. Here it may name only the three things that a
pickled array needs; numbers, text, lists and dictionaries need none.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

_ALLOWED = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),  # its name since NumPy 2
    }
)


class RefusedPickleError(pickle.UnpicklingError):
    """The pickle names something other than what a NumPy array needs. Nothing of it was run."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise RefusedPickleError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_arrays(data: bytes) -> Any:
    """Unpickle plain values and NumPy arrays, those written by Python 2 included (its strings become `str`).

    Raises:
        RefusedPickleError: the pickle asks for anything else.
        Exception: the pickle is damaged; what is raised depends on where.
    """
    return _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
