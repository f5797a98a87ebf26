"""The one exception that the command line turns into a sentence and exit code 2."""

from __future__ import annotations


class UserError(Exception):
    """Something the user gave cannot be used. The message is one sentence: what was wrong and what is accepted."""
