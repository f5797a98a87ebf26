"""What is where, of paths that a user gave: looking at one that may not be looked at is no error, but a no."""

from __future__ import annotations

import os
from pathlib import Path


def is_dir(path: Path) -> bool:
    """`Path.is_dir`, which raises where a folder above may not be entered, or where a name is too long for the disk."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """`Path.is_file` in the same way."""
    return os.path.isfile(path)  # noqa: PTH113
