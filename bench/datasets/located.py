"""What schemes share: a name that is a path and, in brackets, options, as methods have them: `photos[size=32]`."""

from __future__ import annotations

import os
import sys
import unicodedata
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

from bench.errors import UserError
from methods.core.errors import MethodError
from methods.core.options import Options, join_brackets, parse_assignments, split_brackets, to_text

EPOCHS = {"quick": 2, "standard": 20, "paper": 150}
"""By preset, of data sets that nobody has looked at before: CIFAR-10's."""

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
"""What people call the parts of a data set, in whatever case, and what we call them."""

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

    A path that itself ends in brackets is written with empty ones after it: `photos[v2][]`.

    Args:
        scheme: Its name.
        text: What follows the scheme's colon.
        kind: The options there are.

    Raises:
        UserError: there is no path or it is not UTF-8, or an option is unknown, given twice or has a value that is not
            accepted.
    """
    name, items = split_brackets(text)
    if not name:
        raise UserError(f"{scheme + ':' + text!r} names no file or folder: write {scheme}:PATH")
    try:
        refusal = "{item!r} is not accepted: give each option once, as NAME=VALUE"
        options = kind.parse(parse_assignments(items, refusal, refusal))
    except MethodError as error:
        raise UserError(f"{scheme}:{text}: {error}{_hint(scheme, text)}") from None
    path = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111  (as it is, links and all)
    changed = [field.name for field in fields(options) if getattr(options, field.name) != field.default]
    shown = [f"{name}={to_text(getattr(options, name))}" for name in changed]
    check_text(str(path), "the path")
    own = "[]" if not shown and str(path).endswith("]") else ""  # else its end would be read as options
    return Located(join_brackets(f"{scheme}:{path}", shown) + own, path, options)


def _hint(scheme: str, text: str) -> str:
    """How to write a path that was taken for options, if there is one."""
    if os.path.lexists(os.path.expanduser(text)):  # noqa: PTH111
        return f"; if {text!r} is the path, write {scheme}:{text}[]"
    return "; a path that ends in brackets has [] after it"


def check_text(name: str, what: str) -> None:
    """Check that a name of the file system is text, which results and models are written in.

    Raises:
        UserError: its bytes are not UTF-8, or it has a control character, which terminals and tables do not bear.
    """
    if "\0" in name:
        raise UserError(f"{what} {name!r} has a null character, which no file's name has")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"{what} {name!r} has a control character: rename it")
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if (encoding := sys.getfilesystemencoding()) == "utf-8":
            raise UserError(f"{what} {shown!r} is not UTF-8: rename it") from None
        raise UserError(
            f"{what} {shown!r} is not in the locale's encoding, {encoding}: choose a locale of UTF-8, such as C.UTF-8"
        ) from None
