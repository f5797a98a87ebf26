"""What schemes share: a name that is a path and, in brackets, options, as methods have them: `photos[size=32]`."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

from bench.errors import UserError
from methods.core.errors import MethodError
from methods.core.options import Options, join_brackets, parse_assignments, split_brackets, to_text

EPOCHS = {"quick": 2, "standard": 20, "paper": 150}
"""By preset, of data sets that nobody has looked at before: CIFAR-10's."""

_O = TypeVar("_O", bound=Options)


@dataclass(frozen=True)
class Located(Generic[_O]):
    """What a name says."""

    name: str
    """The same data set's name wherever on the machine: an absolute path, and the options that are not the default."""
    path: Path
    """Absolute; nothing need be there."""
    options: _O


def locate(scheme: str, text: str, kind: type[_O]) -> Located[_O]:
    """Read `PATH` or `PATH[OPTION=VALUE,...]`; a relative path starts in the working directory, `~` is the user's home.

    Args:
        scheme: Its name.
        text: What follows the scheme's colon.
        kind: The options there are.

    Raises:
        UserError: there is no path, or an option is unknown, given twice or has a value that is not accepted.
    """
    name, items = split_brackets(text)
    if not name:
        raise UserError(f"{scheme + ':' + text!r} names no file or folder: write {scheme}:PATH")
    try:
        refusal = "{item!r} is not accepted: give each option once, as NAME=VALUE"
        options = kind.parse(parse_assignments(items, refusal, refusal))
    except MethodError as error:
        raise UserError(f"{scheme}:{text}: {error}") from None
    path = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111  (as it is, links and all)
    changed = [field.name for field in fields(options) if getattr(options, field.name) != field.default]
    shown = [f"{name}={to_text(getattr(options, name))}" for name in changed]
    return Located(join_brackets(f"{scheme}:{path}", shown), path, options)
