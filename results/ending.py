"""What the commands of `bench` and `reports` share: how they end, and how they take folders and options given twice.

A mistake of the user's is one sentence and exit code 2, Ctrl-C is 130.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from results.streams import make_reliable

_PLATFORMS = ("linux", "darwin")
_OURS = ("", "bench", "methods", "reports", "results")
_THREADS = "OMP_NUM_THREADS"
_LONG = re.compile(r"\S{200,}")


def end(
    run: Callable[[], Any],
    *mistakes: type[Exception],
    before: Callable[[], object] = lambda: None,
    stopped: Callable[[BaseException | None], int] = lambda stop: 130,
) -> NoReturn:
    """Run a command and leave with its exit code.

    Args:
        run: `main` of the command, not standalone. Returns an exit code, or None for 0.
        mistakes: Exceptions that are one sentence for the user, besides `ResultsError`.
        before: Called when there is nothing against the command.
        stopped: Given what stopped the command, returns the exit code.
    """
    make_reliable()
    if not sys.platform.startswith(_PLATFORMS):
        print(f"error: NoProp-Bench runs on Linux and macOS, and this is {sys.platform}", file=sys.stderr)
        sys.exit(2)
    try:
        Path.cwd()
    except OSError:  # libraries that are loaded later end the process
        print("error: the working directory is not there any more: change to another", file=sys.stderr)
        sys.exit(2)
    threads = os.environ.get(_THREADS, "1")
    if not re.fullmatch(r"\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*", threads):  # else OpenMP complains in lines of its own
        said = f"the variable {_THREADS} is {threads[:60]!r}: give a whole number from 1, or unset it"
        print(f"error: {said}", file=sys.stderr)
        sys.exit(2)
    before()
    try:
        code = run() or 0
        sys.stdout.flush()
        sys.exit(code)
    except click.ClickException as error:
        sentence = error.format_message()
    except (click.Abort, KeyboardInterrupt) as stop:
        sys.exit(stopped(stop.__cause__ if isinstance(stop, click.Abort) else stop))
    except ImportError as error:
        library = _library(error)
        if library in _OURS:
            raise
        sentence = f"{library} cannot be loaded: {error}"
    except Exception as error:
        from results.store import ResultsError  # imports pydantic, which --help need not wait for

        if not isinstance(error, (*mistakes, ResultsError)):
            raise
        sentence = str(error)
    sentence = _LONG.sub(lambda found: f"{found[0][:60]}...{found[0][-20:]}", " ".join(sentence.split()))
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def _library(error: ImportError) -> str:
    """The package that cannot be imported, or in which something cannot be."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    importer = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return (error.name or "").partition(".")[0] if importer in (*_OURS, "__main__") else importer


class Folder(click.Path):
    """A folder, which need not exist. An empty name would mean the current one and is surely a slip."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text to a path."""
        if value == "":
            self.fail("the folder's name is empty; give one, or . for the folder you are in.", param, ctx)
        if "\0" in str(value):  # a file can say so, a command line cannot
            self.fail("the folder's name has a null character; give another.", param, ctx)
        return super().convert(value, param, ctx)


class FrankCommand(click.Command):
    """A command that says so where an option is given twice, of which click takes the last in silence.

    It is no mistake: `make bench ARGS=...` overrides what `make` passes.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Writes a line to standard error for each that is not meant to be repeated."""
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            if times > 1 and isinstance(option, click.Option) and not option.multiple and not option.is_eager:
                last = "" if option.is_flag else f", {given[str(option.name)]!r}"
                how = "; several values go into one, with commas" if "," in option.make_metavar(ctx) else ""
                what = f"{option.opts[0]} is given {times} times and the last one counts{last}{how}"
                print(f"note: {what}", file=sys.stderr)
        return super().parse_args(ctx, args)


class EndingCommand(FrankCommand):
    """A command that ends as above by itself."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run it, and leave with its exit code."""
        end(partial(super().main, *args, **extra | {"standalone_mode": False}))
