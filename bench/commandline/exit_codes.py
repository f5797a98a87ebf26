"""How a command ends: an expected mistake is one sentence and exit code 2, Ctrl-C is 130, SIGTERM is 143.

A terminal that goes away (SIGHUP) is 129.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from bench.errors import UserError
from results.streams import make_reliable

_PLATFORMS = ("linux", "darwin")


def exits(command: click.Command, name: str, *, runs_cells: bool = False) -> Callable[[], NoReturn]:
    """Make a command's `main`, which runs it and leaves with its exit code.

    Args:
        command: Returns an exit code, or None for 0.
        name: How it is called, for its help.
        runs_cells: Let SIGTERM and SIGHUP stop the command as Ctrl-C does, and say so if nothing had started by then.
    """

    def main() -> NoReturn:
        make_reliable()
        if not sys.platform.startswith(_PLATFORMS):
            print(f"error: NoProp-Bench runs on Linux and macOS, and this is {sys.platform}", file=sys.stderr)
            sys.exit(2)
        try:
            Path.cwd()
        except OSError:  # libraries that are loaded later end the process
            print("error: the working directory is not there any more: change to another", file=sys.stderr)
            sys.exit(2)
        if runs_cells:
            signal.signal(signal.SIGTERM, _terminate)
            if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # else nohup, or somebody, had a reason
                signal.signal(signal.SIGHUP, _hang_up)
        try:
            code = command.main(prog_name=name, standalone_mode=False) or 0
            sys.stdout.flush()
            sys.exit(code)
        except click.ClickException as error:
            sentence = error.format_message()
        except (click.Abort, KeyboardInterrupt) as stop:
            if runs_cells:
                print("stopped before the first cell", file=sys.stderr)
            sys.exit(stop_code(stop.__cause__ if isinstance(stop, click.Abort) else stop))
        except Exception as error:
            from results.store import ResultsError  # imports pydantic, which --help need not wait for

            if not isinstance(error, UserError | ResultsError):
                raise
            sentence = str(error)
        print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
        sys.exit(2)

    return main


class Terminated(KeyboardInterrupt):
    """SIGTERM: stop as for Ctrl-C."""

    code = 143


class HungUp(Terminated):
    """SIGHUP: the same."""

    code = 129


def stop_code(stop: BaseException | None) -> int:
    """The exit code that a shell expects after the signal that stopped us."""
    return stop.code if isinstance(stop, Terminated) else 130


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def _hang_up(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # shell and terminal may both send it
    raise HungUp
