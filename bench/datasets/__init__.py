"""Data sets: what can be trained on, where its files are found, and how they are split.

    dataset = get("mnist")                        # or get("npz:photos.npz"), get("folder:photos[size=32]")
    raw = dataset.load(None)                      # uint8 images as published, training and test part
    splits = make_splits(raw, num_classes=dataset.num_classes, train_size=10_000, split_seed=0)

Importing this package is cheap: torch and the readers are imported when data are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.datasets.registry import (
    ENTRY_POINT_GROUP,
    PRESETS,
    Dataset,
    RawData,
    Scheme,
    available,
    get,
    register,
    register_scheme,
    schemes,
)
from bench.datasets.sources import DATA_VARIABLE, data_root

if TYPE_CHECKING:
    from bench.datasets.split import Splits, make_splits

__all__ = [
    "DATA_VARIABLE",
    "ENTRY_POINT_GROUP",
    "PRESETS",
    "Dataset",
    "RawData",
    "Scheme",
    "Splits",
    "available",
    "data_root",
    "get",
    "make_splits",
    "register",
    "register_scheme",
    "schemes",
]


def __getattr__(name: str) -> Any:
    """Import the splitting code only when it is asked for."""
    if name in {"Splits", "make_splits"}:
        from bench.datasets import split

        return getattr(split, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
