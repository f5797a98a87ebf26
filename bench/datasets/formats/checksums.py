"""MD5, which most data sets are published with: enough to tell a damaged file, and no proof against a forged one."""

from __future__ import annotations

import hashlib
from pathlib import Path


def md5_of(path: Path) -> str:
    """The MD5 sum of a file, in hexadecimal; the file is not held in memory.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
