"""The process that hands one cell to a tracker: a task on standard input, an answer on standard output."""

import sys
from pathlib import Path

from pydantic import BaseModel

from bench.children.processes import claim_stdout, exit_with_parent
from bench.errors import describe
from results.schema import CellResult


class Task(BaseModel):
    """What to log, and with which tracker."""

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
    """Do the task and answer; 0 in any case, since the answer says how it went."""
    from bench.tracking.registry import get

    answers = claim_stdout()
    task = Task.model_validate_json(sys.stdin.readline())
    exit_with_parent()
    try:
        answer = Answer(said=get(task.tracker).log(task.run, task.result))
    except Exception as error:
        answer = Answer(error=describe(error))
    answers.write(answer.model_dump_json())
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
