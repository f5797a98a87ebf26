"""Methods by name: register, get, available.

Every module in `methods/` is imported, so adding a method means adding one file. Other packages add theirs through the
entry-point group `noprop_bench.methods`: an entry point names a module whose import registers the method.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from methods.core.errors import MethodError, did_you_mean
from methods.core.plugins import NOT_FOUND, load_all

if TYPE_CHECKING:
    from methods.core.method import Method

ENTRY_POINT_GROUP = "noprop_bench.methods"
RESERVED = ("all", "core", "tuned")
"""What means something else where people type methods."""

_M = TypeVar("_M", bound="type[Method]")
_methods: dict[str, type[Method]] = {}
_aliases: dict[str, str] = {}


def register(name: str, *, aliases: Iterable[str] = ()) -> Callable[[_M], _M]:
    """Class decorator: make a `Method` available as `name`, and as each of `aliases`.

    Raises:
        ValueError: the name or an alias is already taken or cannot be typed, or it is no `Method` with a summary.
    """

    def decorate(cls: _M) -> _M:
        _check(cls, name)
        for key in (name, *aliases):
            check_name(key, "method")
            if key in _methods or key in _aliases:
                raise ValueError(f"a method named {key!r} is already registered")
        cls.name = name
        cls.core = cls.__dict__.get("core", False)  # not inherited
        _methods[name] = cls
        _aliases.update(dict.fromkeys(aliases, name))
        return cls

    return decorate


def check_name(name: object, kind: str) -> None:
    """Refuse a name that people could not type where they name methods, or in a shell.

    Raises:
        ValueError: it is such a name; the message is one sentence for the user.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} cannot name a {kind}: use letters, digits, '-', '_' and '.', a letter first")
    if name in RESERVED:
        raise ValueError(f"{name!r} cannot name a {kind}: {', '.join(RESERVED)} mean something else")


def _check(cls: object, name: str) -> None:
    from methods.core.method import Method  # here, since who looks for a registry need not wait for PyTorch

    if not isinstance(cls, type) or not issubclass(cls, Method):
        raise ValueError(f"what is registered as {name!r} is no class derived from Method")
    summary = getattr(cls, "summary", None)
    if not isinstance(summary, str) or not summary.strip() or not summary.isprintable():
        raise ValueError(f"the method {name!r} needs a summary, which is one line of text")


def available() -> dict[str, type[Method]]:
    """Every registered method by its name, sorted; aliases are not listed."""
    _discover()
    return dict(sorted(_methods.items()))


def get(name: str) -> type[Method]:
    """The method registered as `name` or under that alias.

    Raises:
        MethodError: there is none; the message lists the methods.
    """
    _discover()
    canonical = _aliases.get(name, name)
    if canonical not in _methods:
        hint = did_you_mean(name, _methods, _aliases)
        why = "; ".join(_discover()) or NOT_FOUND
        raise MethodError(f"unknown method {name!r}{hint}: the methods are {', '.join(sorted(_methods))}; {why}")
    return _methods[canonical]


def is_taken(name: str) -> bool:
    """Whether a method has that name, or that alias."""
    _discover()
    return name in _methods or name in _aliases


@functools.cache
def _discover() -> tuple[str, ...]:
    """Import every method and plug-in, so that their decorators run; a sentence for each that was left out."""
    return load_all("methods", ENTRY_POINT_GROUP, "method", _methods, _aliases)
