"""Read pickles of NumPy arrays without trusting them.

A pickle is a program, and `pickle.load` runs whatever it names. Here it may name only what arrays, NumPy's numbers,
ordered dictionaries and bytes need; plain numbers, text, lists and dictionaries need nothing.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

_CORE = ("numpy.core", "numpy._core")
"""NumPy's own package before and since NumPy 2."""
_ALLOWED = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("collections", "OrderedDict"),
        *((f"{core}.multiarray", "_reconstruct") for core in _CORE),
        *((f"{core}.numeric", "_frombuffer") for core in _CORE),  # protocol 5
    }
)


class RefusedPickleError(pickle.UnpicklingError):
    """The pickle names something other than what a NumPy array needs. Nothing of it was run."""


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them in protocols 0 to 2: `_codecs.encode`, and no other codec."""
    if encoding != "latin1" or not isinstance(text, str):
        raise RefusedPickleError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _scalar(kind: Any, data: Any = None) -> Any:
    """A number of NumPy's: a class label that was taken from an array."""
    import numpy as np

    if not isinstance(kind, np.dtype) or kind.kind not in "biuf" or not isinstance(data, bytes):
        raise RefusedPickleError("it asks for a NumPy scalar that is no number")
    return np.frombuffer(data, kind, count=1)[0]


_REPLACED = {("_codecs", "encode"): _latin1} | {(f"{core}.multiarray", "scalar"): _scalar for core in _CORE}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _REPLACED:
            return _REPLACED[module, name]
        if (module, name) not in _ALLOWED:
            raise RefusedPickleError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_arrays(data: bytes) -> Any:
    """Unpickle plain values and NumPy arrays of any protocol, those written by Python 2 included (its text is `str`).

    Raises:
        RefusedPickleError: the pickle asks for anything else.
        Exception: the pickle is damaged; what is raised depends on where.
    """
    return _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
