"""One cell in a fresh process of this machine: start it, follow it, and return its row whatever happens to it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

from pydantic import ValidationError

from bench.processes import kill_group, owned, time_limit
from bench.protocol import EVENT, Event, Job, PhaseEvent, ResultEvent, RowBuilder
from bench.runner.monitor import Monitor
from results.schema import CellResult

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GRACE_SECONDS = 1.0
"""How long a process that has sent its result may take to end by itself."""


def run_in_process(job: Job, on_event: Callable[[Event], None]) -> CellResult:
    """Run one cell in its own process.

    A fresh interpreter rather than a fork: the cell's memory is its own, with nothing of an earlier cell in it. The
    process leads its own session, so Ctrl-C reaches only the harness, which kills the process here.

    Returns:
        The cell's row, also where the process raised, was killed or sent nothing.
    """
    row = RowBuilder(job)
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
        with owned(process):
            with time_limit(process, job.timeout_seconds) as late, Monitor(process.pid, job.cell.config.device) as seen:
                result = _follow(process, job, seen, on_event)
            if result is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_SECONDS)
        if result is not None:
            return result.model_copy(update={"wall_seconds": row.seconds, **seen.found()})
        errors.seek(0)
        status, error = ("killed", _too_late(job)) if late.is_set() else _explain(process.returncode)
        return row.failed(status, error, errors.read()[-4000:] or None)


def _too_late(job: Job) -> str:
    return f"the cell took longer than the {job.timeout_seconds:g} s that --timeout allows, and was ended"


def _follow(
    process: subprocess.Popen[str], job: Job, monitor: Monitor, on_event: Callable[[Event], None]
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
            monitor.enter(event.phase)
        else:
            on_event(event)
    process.wait()
    return None


def _kill_orphans(process: subprocess.Popen[str]) -> None:
    """When the process ends, kill its children: a forked one holds the pipe open, and reading would never end."""
    process.wait()
    kill_group(process)


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
