"""Options of a method: a frozen dataclass, filled from text or values, that refuses a mistake in one sentence."""

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from methods.core.errors import MethodError, did_you_mean


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, ends included: where a hyperparameter search may look.

    Raises:
        ValueError: the range is empty, or logarithmic from 0 or below.
    """

    low: float
    high: float
    log: bool = False
    """Whether each factor is tried as often as the next (0.001 to 0.01 as often as 0.01 to 0.1)."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"{self} holds nothing to search")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Check:
    """In an option's type, `Annotated[float, Check(...)]`: which values to accept, and what to say of others."""

    accepts: Callable[[Any], bool]
    must_be: str


@dataclass(frozen=True)
class InferenceOnly:
    """In an option's type, `Annotated[..., INFERENCE_ONLY]`: the option acts at inference alone.

    Its value changes nothing in how a method is built, initialised and trained; `predict` and `diagnose` read it from
    `Method.options` at each call. So one trained model can be evaluated with several values.
    """


INFERENCE_ONLY = InferenceOnly()


def count_to(largest: int) -> Check:
    """Whole numbers from 1 to `largest`."""
    return Check(lambda value: 1 <= value <= largest, f"a whole number from 1 to {largest:,}")


Positive = Annotated[float, Check(lambda value: 0 < value < math.inf, "a finite number above 0")]
BetweenZeroAndOne = Annotated[float, Check(lambda value: 0 < value < 1, "between 0 and 1")]


@dataclass(frozen=True)
class Options:
    """Base of every method's options. Field types may be int, float, bool, str, a Literal, or any of these | None.

    `Annotated` with a `Check` restricts values further; a subclass checks combinations in `__post_init__`.
    """

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self), include_extras=True).items():
            for check in getattr(hint, "__metadata__", ()):
                if isinstance(check, Check):
                    value = getattr(self, name)
                    self.require(value is None or check.accepts(value), name, check.must_be)

    @classmethod
    def inference_only(cls) -> frozenset[str]:
        """The names of the options that act at inference alone."""
        hints = typing.get_type_hints(cls, include_extras=True)
        return frozenset(name for name, hint in hints.items() if INFERENCE_ONLY in getattr(hint, "__metadata__", ()))

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Build the options from `values`, converting text (`"20"`, `"mean"`, `"none"`) to each field's type.

        Raises:
            MethodError: an option is unknown, or its value has the wrong type or is out of range.
        """
        hints = typing.get_type_hints(cls)
        known = sorted(field.name for field in dataclasses.fields(cls))
        converted: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                accepted = f"the options are {', '.join(known)}" if known else "this method has no options"
                raise MethodError(f"unknown option {key!r}{did_you_mean(key, known)}: {accepted}")
            converted[key] = _convert(key, value, hints[key])
        return cls(**converted)

    @classmethod
    def values_of(cls, name: str) -> tuple[object, ...]:
        """A few values that an option accepts: all choices of a Literal, otherwise small numbers."""
        hint = typing.get_type_hints(cls)[name]
        tried = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else (1, 2, 3)
        if hint is bool:
            tried = (False, True)
        found = []
        for value in tried:
            with contextlib.suppress(MethodError):
                cls.parse({name: value})
                found.append(value)
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Every option with its effective value."""
        return dataclasses.asdict(self)

    def require(self, condition: bool, name: str, accepted: str) -> None:
        """Refuse the value of option `name` unless `condition` holds; `accepted` says what it must be.

        Raises:
            MethodError: the condition does not hold.
        """
        if not condition:
            raise _refusal(name, getattr(self, name), accepted)


def _convert(name: str, value: object, hint: Any) -> Any:
    """`value` as the type `hint`."""
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value in choices:
            return value
        raise _refusal(name, value, f"one of {', '.join(choices)}")
    if isinstance(hint, types.UnionType):
        if value is None or value == "none":
            return None
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if hint is bool:
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise _refusal(name, value, "true or false")
    try:
        if isinstance(value, bool) or (hint is int and isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return hint(value)
    except (TypeError, ValueError):
        raise _refusal(name, value, {int: "a whole number", float: "a number"}.get(hint, hint.__name__)) from None


def _refusal(name: str, value: object, accepted: str) -> MethodError:
    return MethodError(f"option {name}={value!r} is not accepted: {name} must be {accepted}")


def to_text(value: object) -> str:
    """A value as `Options.parse` reads it: `none`, `true`, `0.5`."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def split_list(text: str) -> list[str]:
    """Split a list at the commas outside brackets; items may be empty."""
    return [item.strip() for item in re.split(r",(?![^\[]*\])", text)]


def split_brackets(text: str) -> tuple[str, list[str]]:
    """`NAME[T=20,sampler=mean]` as its name and the items in the brackets at its end, if it has any."""
    match = re.fullmatch(r"(.+?)(?:\[([^\[\]]*)\])?", text.strip(), re.DOTALL)
    name, inside = match.groups() if match else ("", None)
    return name.strip(), [item for item in split_list(inside or "") if item]


def join_brackets(name: str, items: Sequence[str]) -> str:
    """The inverse of `split_brackets`."""
    return f"{name}[{','.join(items)}]" if items else name


def parse_assignments(items: Iterable[str], malformed: str, repeated: str) -> dict[str, str]:
    """Parse `NAME=VALUE` items.

    Args:
        items: Each with another name.
        malformed: The error for an item of another form, with `{item!r}` in it.
        repeated: The error for a name that is given again, with `{item!r}` or `{name!r}` in it.

    Raises:
        MethodError: there is one of these.
    """
    values: dict[str, str] = {}
    for item in items:
        name, _, value = (part.strip() for part in item.partition("="))
        if not (name and value) or name in values:
            raise MethodError((repeated if name in values else malformed).format(item=item, name=name))
        values[name] = value
    return values
