"""Meters are tried on the machine as it is, cards included."""

import pytest


@pytest.fixture(autouse=True)
def bare_machine() -> None:
    """In place of the machine without cards that other tests of `bench` see."""
