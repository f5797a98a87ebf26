"""Mistakes of a user, told in one sentence."""

import difflib
from collections.abc import Iterable, Mapping


class MethodError(ValueError):
    """A method, or one of its options, cannot be used; the message is one sentence for the user."""


def did_you_mean(name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """` (did you mean 'x'?)` with the most similar known name, capitals or not, for an alias its name; or nothing."""
    by_lower = {each.lower(): each for each in known}
    by_lower |= {alias.lower(): name for alias, name in (aliases or {}).items()}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
