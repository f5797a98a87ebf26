"""Methods by name: register, get, available.

Every module in `methods/` is imported, so adding a method means adding one file. Other packages add theirs through the
entry-point group `noprop_bench.methods`: an entry point names a module whose import registers the method.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from methods.core.errors import MethodError, did_you_mean
from methods.core.plugins import NOT_FOUND, load_all

if TYPE_CHECKING:
    from methods.core.method import Method

ENTRY_POINT_GROUP = "noprop_bench.methods"

_M = TypeVar("_M", bound="type[Method]")
_methods: dict[str, type[Method]] = {}
_aliases: dict[str, str] = {}


def register(name: str, *, aliases: Iterable[str] = ()) -> Callable[[_M], _M]:
    """Class decorator: make a `Method` available as `name`, and as each of `aliases`.

    Raises:
        ValueError: the name or an alias is already taken.
    """

    def decorate(cls: _M) -> _M:
        for key in (name, *aliases):
            if key in _methods or key in _aliases:
                raise ValueError(f"a method named {key!r} is already registered")
        cls.name = name
        cls.core = cls.__dict__.get("core", False)  # not inherited
        _methods[name] = cls
        _aliases.update(dict.fromkeys(aliases, name))
        return cls

    return decorate


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
        hint = did_you_mean(name, [*_methods, *_aliases])
        raise MethodError(f"unknown method {name!r}{hint}: the methods are {', '.join(sorted(_methods))}; {NOT_FOUND}")
    return _methods[canonical]


@functools.cache
def _discover() -> None:
    """Import every method and plug-in, so that their decorators run."""
    load_all(
        "methods",
        ENTRY_POINT_GROUP,
        lambda entry_point, error: f"the method plug-in {entry_point.name!r} cannot be loaded: {error}",
    )
