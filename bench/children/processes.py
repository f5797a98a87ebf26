"""Child processes of the harness: killed together with their own children, within a time limit, or by hand.

A child also ends by itself when the harness does, however that ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TextIO

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
"""GNU's allocator keeps freed memory for the next tensor, up to 32 MiB each (the most that it takes). By default it
gives much of it back, and the system clears it again within the next step. Larger ones still come and go: between
smaller ones, gaps of their size would add up, and resident memory with them."""
HOME = Path(__file__).resolve().parents[2]
"""The folder that our packages are in."""
_START = """
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
home, name = sys.argv[1:3]
spec = PathFinder.find_spec("bench", [home])
sys.modules["bench"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["bench"])
del sys.argv[1:3]
import runpy
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""
"""As `python -m`, but a folder `bench` in the working directory is not taken for ours. With -P, nor are its files."""


def python(module: str) -> list[str]:
    """The command that runs one of our modules in another process, whatever the working directory has."""
    return [sys.executable, "-P", "-c", _START, str(HOME), module]


_running: set[subprocess.Popen[str]] = set()


def start_child(module: str, errors: IO[str] | int, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `python -m module`, its standard input and output pipes of text; the caller wraps its life in `owned`.

    A fresh interpreter rather than a fork: its memory is its own. It leads a session of its own: it has no terminal to
    ask on, and Ctrl-C reaches only the harness.

    Args:
        module: What to run.
        errors: A file for its standard error, or `subprocess.DEVNULL`.
        env: Variables that it has besides ours.
    """
    return subprocess.Popen(
        python(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | (env or {}),
        start_new_session=True,
    )


def compute_variables(threads: int) -> dict[str, str]:
    """For a process that computes: its libraries' number of threads from their import on, and memory that it keeps."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads)) | _KEEP_MEMORY


def send_line(process: subprocess.Popen[str], line: str) -> None:
    """Write a line to a child's standard input.

    Raises:
        BrokenPipeError: it has ended.
    """
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


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


def kill_orphans(process: subprocess.Popen[str]) -> None:
    """When a child ends, kill its own children: a forked one holds the pipe open, and reading would never end."""

    def wait() -> None:
        process.wait()
        kill_group(process)

    threading.Thread(target=wait, daemon=True).start()


def how_ended(returncode: int) -> str:
    """How a child ended that was not meant to, as a predicate: `was killed by SIGSEGV`, `ended with exit code 3`."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # most real-time signals have no name
        name = f"signal {-returncode}"
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def exit_with_parent() -> SimpleQueue[str]:
    """In a child: end this process when its standard input does, which the harness keeps open as a lifeline.

    Returns:
        The lines that come until then.
    """
    lines: SimpleQueue[str] = SimpleQueue()

    def wait(lifeline: TextIO = sys.stdin) -> None:
        for line in lifeline:
            lines.put(line)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    return lines


def claim_stdout() -> TextIO:
    """In a child: the pipe to the harness, for messages alone. Whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe
