"""Standard streams that a command can rely on: in any locale, closed, on a full disk, on a terminal that went away."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from typing import Any


def make_reliable() -> None:
    """Have the standard streams open, and never in the way of what a command is for.

    A stream that is closed is open on nothing: else the next file that is opened, perhaps one of results, would take
    its number and get what libraries print. A character that the locale has not is a question mark. What cannot be
    written to standard error is lost. Nothing happens where streams were replaced (by a test, a notebook).
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _reopened(sys.stdout, _Output(1, "w", closefd=False), "replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _reopened(sys.stderr, _Errors(2, "w", closefd=False), "backslashreplace")


def _reopened(old: Any, raw: io.FileIO, errors: str) -> io.TextIOWrapper:
    with contextlib.suppress(OSError):
        if old is not None:
            old.flush()
    encoding, at_once = (old.encoding, old.line_buffering) if old is not None else ("utf-8", False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=at_once)


class _Output(io.FileIO):
    """Standard output, whose loss is a sentence, or the command's silent end where nobody reads it any more."""

    def write(self, data: Any, /) -> int:
        """Raises `ResultsError`, or `SystemExit` with the code that shells give SIGPIPE; from then on, all is lost."""
        try:
            return super().write(data)
        except OSError as error:
            from results.store import ResultsError  # imports pydantic, which --help need not wait for

            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(128 + signal.SIGPIPE) from None
            raise ResultsError(f"cannot write to standard output: {error.strerror or error}") from None


class _Errors(io.FileIO):
    """Standard error, whose loss is not told: there is nowhere to tell it."""

    def write(self, data: Any, /) -> int:
        """As if it had been written."""
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)
