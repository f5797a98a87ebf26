"""The process that hands one cell to a tracker: a task on standard input, an answer on standard output."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pydantic import BaseModel

from bench.runner.worker import describe, leave_with_the_harness
from results.schema import CellResult


class Task(BaseModel):
    """What is to be logged, where and by which tracker."""

    tracker: str
    run: Path
    result: CellResult


class Answer(BaseModel):
    """How it went."""

    said: str | None = None
    """What the user is to be told."""
    error: str | None = None
    """One line; None: it is logged."""


def main() -> int:
    """Do the task and answer; 0 whether it went well or not, since the answer says so."""
    from bench.tracking.registry import get

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get into the answer
    task = Task.model_validate_json(sys.stdin.readline())
    threading.Thread(target=leave_with_the_harness, daemon=True).start()
    try:
        answer = Answer(said=get(task.tracker).log(task.run, task.result))
    except Exception as error:
        answer = Answer(error=describe(error))
    answers.write(answer.model_dump_json())
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
