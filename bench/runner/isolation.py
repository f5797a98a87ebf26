"""One cell in a fresh process of this machine: start it, follow it, and return its row whatever happens to it."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO

from pydantic import ValidationError

from bench.children.processes import (
    compute_variables,
    how_ended,
    kill_orphans,
    owned,
    send_line,
    start_child,
    time_limit,
)
from bench.children.protocol import EVENT, Event, Job, PhaseEvent, ResultEvent, RowBuilder
from bench.runner.monitor import Monitor
from results.schema import CellResult

_GRACE_SECONDS = 1.0
"""How long a process that has sent its result may take to end by itself."""


def run_in_process(job: Job, on_event: Callable[[Event], None]) -> CellResult:
    """Run one cell in its own process.

    Returns:
        The cell's row, also where the process raised, was killed or sent nothing.
    """
    row = RowBuilder(job)
    with _scratch() as errors:
        process = start_child(
            "bench.runner.worker", errors or subprocess.DEVNULL, compute_variables(job.cell.config.threads)
        )
        with owned(process):
            with time_limit(process, job.timeout_seconds) as late, Monitor(process.pid, job.cell.config.device) as seen:
                result = _follow(process, job, seen, on_event)
            if result is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_SECONDS)
        if result is not None:
            found = {"wall_seconds": row.seconds + result.earlier_wall_seconds, **seen.found()}
            if result.earlier_machines:  # the energy of the parts before is not known
                found |= {"cpu_joules": None, "gpu_joules": None, "gpu_joules_source": None}
            return result.model_copy(update=found)
        status, error = ("killed", _too_late(job)) if late.is_set() else _explain(process.returncode)
        if errors is None:
            return row.failed(status, error)
        errors.seek(0)
        return row.failed(status, error, errors.read()[-4000:] or None)


def _scratch() -> AbstractContextManager[IO[str] | None]:
    """A file for the process's standard error; None where no folder for such files can be written to."""
    try:
        return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
    except OSError:
        return contextlib.nullcontext()


def _too_late(job: Job) -> str:
    return f"the cell took longer than the {job.timeout_seconds:g} s that --timeout allows, and was ended"


def _follow(
    process: subprocess.Popen[str], job: Job, monitor: Monitor, on_event: Callable[[Event], None]
) -> CellResult | None:
    """Send the job and pass on events until the result comes; None if the process ends without one."""
    assert process.stdout is not None
    kill_orphans(process)
    try:
        send_line(process, job.model_dump_json())
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


def _explain(returncode: int) -> tuple[str, str]:
    """Status and one line for a process that ended without a result."""
    how = f"the cell's process {how_ended(returncode)}"
    return ("killed", how) if returncode < 0 else ("error", f"{how} and no result")
