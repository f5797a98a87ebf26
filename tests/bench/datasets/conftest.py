"""A folder of the user's for data, on top of the empty machine that every test of data sets sees."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _on_an_empty_machine(empty_machine: None) -> None:
    """Every test here."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The user's data folder, empty."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder
