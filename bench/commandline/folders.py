"""A folder of its own for what one command writes, named by time and what it is of."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import UserError


def new_folder(out: Path, what: str) -> Path:
    """Make a folder inside `out`.

    Raises:
        UserError: it cannot be made.
    """
    label = re.sub(r"[^A-Za-z0-9=.,-]+", "-", what).strip("-")
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{label}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    return folder
