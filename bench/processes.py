"""Child processes of the harness: killed together with their own children, within a time limit, or by hand.

A child also ends by itself when the harness does, however that ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

_running: set[subprocess.Popen[str]] = set()


@contextlib.contextmanager
def owned(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave nothing of a process behind that was started with `start_new_session`; meanwhile `kill_all` ends it too."""
    _running.add(process)
    try:
        yield
    finally:
        _running.discard(process)
        kill_group(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it never read what it was sent
                    stream.close()


@contextlib.contextmanager
def time_limit(process: subprocess.Popen[str], seconds: float | None) -> Iterator[threading.Event]:
    """Kill the process, children and all, when its time is up, and set the event that the block is given."""
    late = threading.Event()

    def end() -> None:
        late.set()
        kill_group(process)

    if seconds is None:
        yield late
        return
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def kill_all() -> None:
    """Kill every owned process; the threads that follow them come back at once."""
    for process in list(_running):
        kill_group(process)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and left no children behind
        os.killpg(process.pid, signal.SIGKILL)


def exit_with_parent() -> None:
    """In a child: end this process when its standard input does, which the harness keeps open as a lifeline."""

    def wait(lifeline: TextIO = sys.stdin) -> None:
        lifeline.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def claim_stdout() -> TextIO:
    """In a child: the pipe to the harness, for messages alone. Whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe
