"""How a command ends: an expected mistake is one sentence and exit code 2, Ctrl-C is 130, SIGTERM is 143.

A terminal that goes away (SIGHUP) is 129.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import click

from bench.errors import UserError
from results.ending import end

_GRACE_SECONDS = 1.0
"""How long threads that outlive the command may take to end by themselves."""


def exits(command: click.Command, name: str, *, runs_cells: bool = False) -> Callable[[], NoReturn]:
    """Make a command's `main`, which runs it and leaves with its exit code.

    Args:
        command: Returns an exit code, or None for 0.
        name: How it is called, for its help.
        runs_cells: Let SIGTERM and SIGHUP stop the command as Ctrl-C does, and say so if nothing had started by then.
    """
    run = partial(command.main, prog_name=name, standalone_mode=False)

    def main() -> NoReturn:
        with _outlasting_threads():
            if runs_cells:
                end(run, UserError, before=_heed_signals, stopped=_stopped_early)
            end(run, UserError, stopped=stop_code)

    return main


@contextlib.contextmanager
def _outlasting_threads() -> Iterator[None]:
    """Let the process end with the command, also where a user's method has left a thread that never ends."""
    try:
        yield
    except SystemExit as stop:
        others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
        if others:
            threading.Thread(target=_outlast, args=(others, stop.code), daemon=True).start()
        raise


def _outlast(others: Sequence[threading.Thread], code: Any) -> None:
    threading.main_thread().join()
    time.sleep(_GRACE_SECONDS)
    if any(each.is_alive() for each in others):  # the interpreter would wait for them
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


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
