"""The exception that the command line turns into one sentence and exit code 2, and one line on any other."""


class UserError(Exception):
    """Something the user gave cannot be used. The message is one sentence: what was wrong and what is accepted."""


def describe(error: BaseException) -> str:
    """One line: the exception's type and message."""
    return " ".join(f"{type(error).__name__}: {error}".split())
