"""How a command ends: an expected mistake is one sentence and exit code 2, Ctrl-C is 130, SIGTERM is 143.

A terminal that goes away (SIGHUP) is 129.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import click

from bench.errors import UserError
from results.ending import end


def exits(command: click.Command, name: str, *, runs_cells: bool = False) -> Callable[[], NoReturn]:
    """Make a command's `main`, which runs it and leaves with its exit code.

    Args:
        command: Returns an exit code, or None for 0.
        name: How it is called, for its help.
        runs_cells: Let SIGTERM and SIGHUP stop the command as Ctrl-C does, and say so if nothing had started by then.
    """
    run = partial(command.main, prog_name=name, standalone_mode=False)

    def main() -> NoReturn:
        if runs_cells:
            end(run, UserError, before=_heed_signals, stopped=_stopped_early)
        end(run, UserError, stopped=stop_code)

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


def _stopped_early(stop: BaseException | None) -> int:
    print("stopped before the first cell", file=sys.stderr)
    return stop_code(stop)


def _heed_signals() -> None:
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # else nohup, or somebody, had a reason
        signal.signal(signal.SIGHUP, _hang_up)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def _hang_up(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # shell and terminal may both send it
    raise HungUp
