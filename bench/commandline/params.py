"""Kinds of values on the command line, each with one sentence for what it does not accept."""

from __future__ import annotations

from typing import Any

import click

from bench.planning.lists import split_list


class CommaList(click.ParamType[tuple[Any, ...]]):
    """`a,b,c`: at least one item, each converted by `item`."""

    def __init__(self, item: click.ParamType[Any]) -> None:
        self.item = item
        self.name = f"{item.name},..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Text to a tuple."""
        if isinstance(value, tuple):
            return value
        items = split_list(value)
        if not all(items):
            self.fail(f"{value!r} has an empty item: give a list such as a,b,c with commas between items", param, ctx)
        return tuple(self.item.convert(part, param, ctx) for part in items)


class Whole(click.ParamType[int]):
    """A whole number from `least` on, up to `most` where there is one."""

    name = "integer"

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to a number in range."""
        accepted = f"a whole number of at least {self.least}"
        if self.most is not None:
            accepted += f" and at most {self.most}"
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not accepted: give {accepted}", param, ctx)
        if number < self.least or (self.most is not None and number > self.most):
            self.fail(f"{value!r} is not accepted: give {accepted}", param, ctx)
        return number


class Folder(click.Path):
    """A folder, there or not; an empty name, which would mean the present one, is a slip."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text to a path."""
        if value == "":
            self.fail("the name of a folder is empty: give one, such as results/runs", param, ctx)
        return super().convert(value, param, ctx)


class PositiveFloat(click.ParamType[float]):
    """A finite number above zero, or from zero on."""

    name = "number"

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to a number in range."""
        accepted = "a finite number of at least 0" if self.zero else "a finite number above 0"
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not accepted: give {accepted}", param, ctx)
        if not (number > 0 or (self.zero and number == 0)) or number == float("inf"):
            self.fail(f"{value!r} is not accepted: give {accepted}", param, ctx)
        return number
