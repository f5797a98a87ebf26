"""What schemes share: a name that is a path and, in brackets, options, as methods have them: `photos[size=32]`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

from bench.errors import UserError
from methods.core.errors import MethodError
from methods.core.options import Options

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
    match = re.fullmatch(r"(?P<path>.+?)(?:\[(?P<options>[^\[\]]*)\])?", text.strip(), re.DOTALL)
    if match is None:
        raise UserError(f"{scheme + ':' + text!r} names no file or folder: write {scheme}:PATH")
    values: dict[str, str] = {}
    for item in filter(None, (match["options"] or "").split(",")):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or name in values:
            raise UserError(f"{scheme}:{text}: {item!r} is not accepted: give each option once, as NAME=VALUE")
        values[name] = value
    try:
        options = kind.parse(values)
    except MethodError as error:
        raise UserError(f"{scheme}:{text}: {error}") from None
    path = Path(os.path.abspath(os.path.expanduser(match["path"])))  # noqa: PTH100, PTH111  (as it is, links and all)
    changed = [field for field in fields(options) if getattr(options, field.name) != field.default]
    shown = ",".join(f"{field.name}={str(getattr(options, field.name)).lower()}" for field in changed)
    return Located(f"{scheme}:{path}" + (f"[{shown}]" if shown else ""), path, options)
