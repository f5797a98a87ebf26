"""Mistakes of a user, told in one sentence."""

import difflib
from collections.abc import Iterable


class MethodError(ValueError):
    """A method, or one of its options, cannot be used; the message is one sentence for the user."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` with the most similar known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
