"""Which of several ways to compute the same was taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from reports.formats.markdown import code, codes


class Executed(Protocol):
    """A cell, or a point of a sweep."""

    @property
    def method(self) -> str:
        """As the user named it."""

    @property
    def execution(self) -> str | None:
        """None where the method has one way."""


def ways_taken(those: Iterable[Executed]) -> str:
    """A sentence without its full stop; empty where no method had a choice."""
    ways: dict[str, dict[str, None]] = {}
    for each in those:
        if each.execution is not None:
            ways.setdefault(each.method, {})[each.execution] = None
    if not ways:
        return ""
    return "Ways of execution that were taken: " + "; ".join(
        f"{code(method)}: {codes(names)}" for method, names in ways.items()
    )
