"""Mistakes of a user, told in one sentence."""

import difflib
from collections.abc import Iterable


class MethodError(ValueError):
    """A method, or one of its options, cannot be used; the message is one sentence for the user."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` with the most similar known name, capitals or not; or nothing."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
