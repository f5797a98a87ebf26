"""Options of a method: a frozen dataclass, filled from text or from values, with every mistake named in a sentence."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from methods.core.registry import MethodError


@dataclass(frozen=True)
class Options:
    """Base of every method's options. Field types may be int, float, bool, str, a Literal, or any of these | None."""

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Build the options from `values`, converting text (`"20"`, `"mean"`, `"none"`) to each field's type.

        Raises:
            MethodError: an unknown option, a value of the wrong type, or one outside its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        converted: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                accepted = f"the options are {', '.join(sorted(known))}" if known else "this method has no options"
                raise MethodError(f"unknown option {key!r}{hint}: {accepted}")
            converted[key] = _convert(key, value, hints[key])
        return cls(**converted)

    def as_dict(self) -> dict[str, Any]:
        """Every option with its effective value."""
        return dataclasses.asdict(self)

    def require(self, condition: bool, name: str, accepted: str) -> None:
        """Refuse the value of option `name` unless `condition` holds; `accepted` says what would do.

        Raises:
            MethodError: the condition does not hold.
        """
        if not condition:
            raise MethodError(f"option {name}={getattr(self, name)!r} is not accepted: {name} must be {accepted}")


def _convert(name: str, value: object, hint: Any) -> Any:
    """`value` as the type `hint`, or a MethodError that names both."""
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value in choices:
            return value
        raise MethodError(f"option {name}={value!r} is not accepted: {name} must be one of {', '.join(choices)}")
    if isinstance(hint, types.UnionType):
        if value is None or value == "none":
            return None
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if hint is bool:
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise MethodError(f"option {name}={value!r} is not accepted: {name} must be true or false")
    try:
        if isinstance(value, bool) or (hint is int and isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return hint(value)
    except (TypeError, ValueError):
        kind = {int: "a whole number", float: "a number"}.get(hint, hint.__name__)
        raise MethodError(f"option {name}={value!r} is not accepted: {name} must be {kind}") from None
