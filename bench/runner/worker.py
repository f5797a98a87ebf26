"""The process of one cell: a job on standard input, events on standard output, nothing else."""

import sys
import traceback

from bench.children.processes import claim_stdout, exit_with_parent
from bench.children.protocol import Event, Job, ResultEvent, RowBuilder
from bench.errors import describe


def main() -> int:
    """Run the job; 0 when the cell ended well, 1 when it raised. The result event is sent in both cases."""
    events = claim_stdout()
    job = Job.model_validate_json(sys.stdin.readline())
    exit_with_parent()

    def emit(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")
        events.flush()

    row = RowBuilder(job)
    try:
        from bench.training.cell import run_cell  # here: an import that fails is reported as this cell's error

        result = run_cell(job, emit)
    except SystemExit as error:
        result = row.failed("error", f"the method ended the process ({describe(error)})", traceback.format_exc())
    except Exception as error:
        result = row.failed("error", describe(error), traceback.format_exc())
    emit(ResultEvent(result=result))
    return 0 if result.status == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
