"""What a launcher runs on the machine that its engine has chosen: one cell, in its own process, as anywhere."""

import platform
import sys

from bench.children.protocol import Event, Job, RowBuilder, WarningEvent
from bench.errors import UserError
from bench.meters.environment import describe_environment
from bench.planning.plan import resolve_device
from bench.runner.isolation import run_in_process


class Preempted(BaseException):
    """Raised in `run_on_node` where the engine tells it to end; says why."""


def _say(event: Event) -> None:
    """Warnings are in the engine's log of the job; how far it has come is not."""
    if isinstance(event, WarningEvent):
        print(f"warning: {event.sentence}", file=sys.stderr, flush=True)


def run_on_node(text: str) -> str:
    """Run one cell here; when told to end, still return a row.

    Args:
        text: The `Job`, as JSON. Its environment is replaced by this machine's.

    Returns:
        The `CellResult`, as JSON.
    """
    row = RowBuilder(Job.model_validate_json(text))
    try:
        device = resolve_device(row.job.cell.config.device)
        row.job = row.job.model_copy(update={"environment": describe_environment(device)})
        result = run_in_process(row.job, _say)
    except UserError as error:
        result = row.failed("error", str(error))
    except Preempted as reason:
        result = row.failed("killed", str(reason))
    return result.model_copy(update={"node": platform.node()}).model_dump_json()
