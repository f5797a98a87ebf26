"""Meters are tried on the machine as it is, cards included, and on one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def bare_machine() -> None:
    """In place of the machine without cards that other tests of `bench` see."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """With several, methods train blocks side by side, and tiny operators wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
