"""Data sets: what can be trained on, where its files are found, and how they are split.

    dataset = get("mnist")                        # or get("npz:photos.npz"), get("folder:photos[size=32]")
    raw = dataset.load(None)                      # uint8 images as published, training and test part
    splits = make_splits(raw, num_classes=dataset.num_classes, train_size=10_000, split_seed=0)

Importing this package is cheap: torch and the readers are imported when data are loaded.
"""

from bench.datasets.registry import (
    ENTRY_POINT_GROUP,
    PRESETS,
    Dataset,
    RawData,
    Scheme,
    available,
    get,
    placed,
    register,
    register_scheme,
    schemes,
)
from bench.datasets.sources import DATA_VARIABLE, data_root
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
    "placed",
    "register",
    "register_scheme",
    "schemes",
]
