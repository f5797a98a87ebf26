"""The harness's side of a tracker: hand over each finished cell, wait for it, and go on whatever happens."""

import sys
import tempfile
import threading
from pathlib import Path

from pydantic import ValidationError

from bench.children.processes import owned, send_line, start_child, time_limit
from bench.tracking.sender import Answer, Task
from results.schema import CellResult, name_of

LIMIT_SECONDS = 120.0
"""How long logging a cell may take."""


class Tracking:
    """Logs a run's cells with one tracker, until that fails for the first time."""

    def __init__(self, tracker: str, run: Path, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._tracker, self._run, self._limit = tracker, run.resolve(), limit_seconds
        self._said: set[str] = set()
        self._failed = False
        self._lock = threading.Lock()

    def log(self, result: CellResult) -> None:
        """Log a cell in its own process and wait for its end; no fault of the tracker is raised."""
        if self._failed:
            return
        try:
            answer = self._ask(Task(tracker=self._tracker, run=self._run, result=result))
        except OSError as error:
            answer = Answer(error=str(error))
        with self._lock:
            if answer.said is not None and answer.said not in self._said:
                self._said.add(answer.said)
                print(f"note: {answer.said}", file=sys.stderr, flush=True)
            if answer.error is not None and not self._failed:
                self._failed = True
                what = f"{self._tracker} could not log {name_of(result)} ({answer.error})"
                print(f"warning: {what}, and is given no more cells; the run goes on", file=sys.stderr, flush=True)

    def _ask(self, task: Task) -> Answer:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = start_child("bench.tracking.sender", errors)
            assert process.stdout is not None
            with owned(process), time_limit(process, self._limit) as late:
                send_line(process, task.model_dump_json())
                out = process.stdout.read()
                process.wait()
            if late.is_set():
                return Answer(error=f"it took longer than {self._limit:g} s")
            try:
                return Answer.model_validate_json(out)
            except ValidationError:
                errors.seek(0)
                *_, last = ["", *errors.read().split("\n")[:-1]]
                return Answer(error=f"its process ended with exit code {process.returncode}: {last}")
