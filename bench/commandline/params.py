"""Kinds of values that click has none for, and the folder that a command writes to."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.errors import UserError
from methods.core.options import split_brackets, split_list
from results.files import is_dir


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
            self.fail(f"{value!r} has an empty item; separate items with commas, such as a,b,c.", param, ctx)
        return tuple(self._one(item, value, param, ctx) for item in items)

    def _one(self, item: str, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if re.fullmatch(r"\d+(-|–|\.\.|:)\d+", item) and isinstance(self.item, click.types.IntParamType):
            self.fail(f"{value!r} has a range; write each number, such as 0,1,2.", param, ctx)
        return self.item.convert(item, param, ctx)


class DatasetList(CommaList):
    """A list of data sets, each by its name or its path, which may have commas itself."""

    def __init__(self) -> None:
        super().__init__(click.STRING)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Text to a tuple: what commas have parted is one path if that is there."""
        items = list(super().convert(value, param, ctx))
        found = []
        while items:
            ends = range(len(items), 0, -1) if ":" in items[0] else [1]
            end = next(end for end in ends if end == 1 or _leads_somewhere(",".join(items[:end])))
            found.append(",".join(items[:end]))
            del items[:end]
        return tuple(found)


def _leads_somewhere(dataset: str) -> bool:
    path, _ = split_brackets(dataset.partition(":")[2])
    return "\0" not in path and os.path.lexists(os.path.expanduser(path))  # noqa: PTH111


class Whole(click.IntRange):
    """A whole number in a range, ends included."""

    def __init__(self, least: int, most: int = 2**31 - 1) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to a number."""
        try:
            return super().convert(value, param, None)
        except click.BadParameter:
            self.fail(f"{str(value)!r} is not a whole number from {self.min} to {self.max}.", param, ctx)


class FiniteFloat(click.FloatRange):
    """A number in a range, neither NaN nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to a number."""
        try:
            number = super().convert(value, param, None)
        except click.BadParameter:
            number = math.nan
        if not math.isfinite(number):
            ends = [f"{'above' if self.min_open else 'not below'} {self.min}"]
            if self.max is not None:
                ends.append(f"{'below' if self.max_open else 'not above'} {self.max}")
            self.fail(f"{str(value)!r} is not a finite number {' and '.join(ends)}.", param, ctx)
        return number


def refuse_given(names: Iterable[str], why: str) -> None:
    """Refuse the command's parameters of these names where the user gave them.

    Raises:
        UserError: one is given; `why` ends the sentence.
    """
    context = click.get_current_context()
    for name in sorted(names):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            flag = next(param.opts[0] for param in context.command.params if param.name == name)
            raise UserError(f"{flag} is not accepted {why}")


def new_folder(parent: Path, title: str) -> Path:
    """Make a folder named by time and title, and a number if another command of the same second has made one.

    Raises:
        UserError: it cannot be made.
    """
    label = re.sub(r"[^A-Za-z0-9=.,-]+", "-", title).strip("-")
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{label}"
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not is_dir(folder):
                raise UserError(f"cannot make the folder {folder}: a file is in its place") from None
        except OSError as error:
            raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from None
        else:
            return folder
    raise AssertionError
