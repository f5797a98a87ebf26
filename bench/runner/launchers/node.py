"""What a launcher runs on the machine that its engine has chosen: one cell, in a process of its own, as anywhere."""

from __future__ import annotations

import platform
import time

from bench.errors import UserError
from bench.meters.environment import describe_environment
from bench.planning.plan import resolve_device
from bench.protocol import Job
from bench.runner.isolation import run_in_process
from bench.runner.worker import failed


class Preempted(BaseException):
    """Raised in `run_on_node` where the engine tells what it runs there to end; says why."""


def run_on_node(text: str) -> str:
    """Run one cell here; told to end, it still comes back with a row.

    Args:
        text: The `Job`, as JSON. Its environment is replaced by this machine's.

    Returns:
        The `CellResult`, as JSON.
    """
    job = Job.model_validate_json(text)
    start = time.perf_counter()
    try:
        device = resolve_device(job.cell.config.device)
        job = job.model_copy(update={"environment": describe_environment(device)})
        row = run_in_process(job, lambda event: None)
    except UserError as error:
        row = failed(job, "error", str(error), 0.0)
    except Preempted as told:
        row = failed(job, "killed", str(told), time.perf_counter() - start)
    return row.model_copy(update={"node": platform.node()}).model_dump_json()
