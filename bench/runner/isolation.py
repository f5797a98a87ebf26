"""Start a cell in a fresh process, follow it, and come back with its row whatever happens to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from bench.protocol import EVENT, Event, Job, PhaseEvent, ResultEvent
from bench.runner.monitor import Monitor
from bench.runner.worker import failed
from results.schema import CellResult

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_running: set[subprocess.Popen[str]] = set()
_GRACE_SECONDS = 1.0
"""How long a process that has sent its result may take to end by itself."""


def run_in_process(job: Job, on_event: Callable[[Event], None]) -> CellResult:
    """Run one cell in its own process.

    A fresh interpreter, not a fork, so that the cell's memory is its own and nothing of an earlier cell is in it. The
    process is in a session of its own, so that Ctrl-C reaches only the harness, which ends it here.

    Returns:
        The cell's result; where the process raised, was killed or sent nothing, a row that says so.
    """
    start = time.perf_counter()
    late = threading.Event()
    threads = dict.fromkeys(_THREAD_VARIABLES, str(job.cell.config.threads))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | threads,
            start_new_session=True,
        )
        result: CellResult | None = None
        _running.add(process)
        try:
            with time_limit(process, job.timeout_seconds, late), Monitor(process.pid, job.cell.config.device) as watch:
                result = _follow(process, job, watch, on_event)
        finally:
            _running.discard(process)
            _end(process, at_once=result is None)
        if result is not None:
            return result.model_copy(update={"wall_seconds": time.perf_counter() - start, **watch.found()})
        errors.seek(0)
        status, error = ("killed", _too_late(job)) if late.is_set() else _explain(process.returncode)
        return failed(job, status, error, time.perf_counter() - start, errors.read()[-4000:] or None)


def end_all() -> None:
    """End the processes that other threads are following; each cell among them then gets a row that says so."""
    for process in list(_running):
        _kill_group(process)


@contextlib.contextmanager
def ended_with_cells(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let `end_all` end this process, too, the leader of its group; afterwards nothing of it is left."""
    _running.add(process)
    try:
        yield
    finally:
        _running.discard(process)
        _kill_group(process)


@contextlib.contextmanager
def time_limit(process: subprocess.Popen[str], seconds: float | None, late: threading.Event) -> Iterator[None]:
    """End the process, children and all, when its time is up, and say so in `late`."""

    def end() -> None:
        late.set()
        _kill_group(process)

    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _too_late(job: Job) -> str:
    return f"the cell took longer than the {job.timeout_seconds:g} s that --timeout allows, and was ended"


def _follow(
    process: subprocess.Popen[str], job: Job, watch: Monitor, on_event: Callable[[Event], None]
) -> CellResult | None:
    """Send the job and pass on events until the result comes; None if the process ends without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    threading.Thread(target=_kill_orphans, args=(process,), daemon=True).start()
    try:
        process.stdin.write(job.model_dump_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        try:
            event = EVENT.validate_json(line)
        except ValidationError:
            continue  # half a line from a process that was killed while it wrote
        if isinstance(event, ResultEvent):
            return event.result
        if isinstance(event, PhaseEvent):
            watch.enter(event.phase)
        else:
            on_event(event)
    process.wait()
    return None


def _kill_orphans(process: subprocess.Popen[str]) -> None:
    """When the process ends, end what it left: a forked child holds its pipe open, and reading would never end."""
    process.wait()
    _kill_group(process)


def _end(process: subprocess.Popen[str], *, at_once: bool) -> None:
    """Make sure that nothing of the process is left."""
    try:
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
    finally:
        _kill_group(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it never read its job
                    stream.close()


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and left no children behind
        os.killpg(process.pid, signal.SIGKILL)


def _explain(returncode: int) -> tuple[str, str]:
    """Status and one line for a process that ended without a result."""
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:  # most real-time signals have no name
            name = f"signal {-returncode}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return "killed", f"the cell's process was killed by {name}{hint}"
    return "error", f"the cell's process ended with exit code {returncode} and no result"
