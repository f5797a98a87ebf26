"""A run's folder to write into."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.store import append_cell, create_run
from tests.factories import make_cell, make_cells, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two planned cells, the first of them finished."""
    create_run(tmp_path / "run", make_run(make_cells(seeds=[0])))
    append_cell(tmp_path / "run", make_cell())
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
