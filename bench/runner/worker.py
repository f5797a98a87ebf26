"""The process of one cell: a job on standard input, events on standard output, nothing else.

Its standard input stays open as a lifeline: when the harness goes, however it goes, reading ends and so does the
process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from bench.protocol import Event, Job, ResultEvent
from results.schema import CellResult


def main() -> int:
    """Run the job; 0 when the cell ended well, 1 when it raised. The result event is sent in both cases."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get among the events
    job = Job.model_validate_json(sys.stdin.readline())
    threading.Thread(target=leave_with_the_harness, daemon=True).start()

    def emit(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")
        events.flush()

    clock = time.perf_counter()
    try:
        from bench.training.cell import (
            run_cell,  # here: an import that fails is this cell's error, and is reported as one
        )

        result = run_cell(job, emit)
    except Exception as error:
        result = failed(job, "error", describe(error), time.perf_counter() - clock, traceback.format_exc())
    emit(ResultEvent(result=result))
    return 0 if result.status == "ok" else 1


def failed(job: Job, status: str, error: str, wall_seconds: float, trace: str | None = None) -> CellResult:
    """The row of a cell that did not end well."""
    return row_of(job, status=status, error=error, traceback=trace, wall_seconds=wall_seconds)


def row_of(job: Job, **found: Any) -> CellResult:
    """A row with what is known of the cell from its job, and the fields given."""
    cell = job.cell
    return CellResult.model_validate(
        {
            "run_id": job.run_id,
            "dataset": cell.dataset,
            "method": cell.method,
            "method_name": cell.method_name,
            "seed": cell.seed,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": cell.config.model_dump(),
            "environment": job.environment.model_dump(),
        }
        | found
    )


def describe(error: BaseException) -> str:
    """One line: the exception's type and message."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def leave_with_the_harness(lifeline: TextIO = sys.stdin) -> None:
    """End this process when its standard input does: the harness holds the other end."""
    lifeline.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
