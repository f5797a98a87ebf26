"""Run cells, one after another or side by side, and keep each one's row the moment it ends."""

import glob
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from bench.children.processes import kill_all
from bench.children.protocol import Job, WarningEvent, rows_of
from bench.meters.environment import describe_environment
from bench.runner.isolation import run_in_process
from bench.runner.launchers.base import Launcher
from bench.runner.progress import LineDisplay
from bench.tracking.tracking import Tracking
from results.files import cell_stem
from results.schema import CellResult, PlannedCell, name_of

PROBED = (
    "activation_bytes",
    "activation_bytes_in_turn",
    "activation_bytes_by_T",
    "train_flops_per_image",
    "predict_flops_per_image",
)
"""Fields that a cell counts after training, exactly, for what does not depend on its seed."""


def run_cells(
    trainings: Iterable[Sequence[PlannedCell]],
    keep: Callable[[CellResult], None],
    display: LineDisplay,
    *,
    jobs: int = 1,
    retries: int = 0,
    launcher: Launcher | None = None,
    tracking: Tracking | None = None,
    checkpoints: Path | None = None,
    **common: Any,
) -> list[CellResult]:
    """Run the cells in order, each training in its own process; its rows are kept before the next one starts.

    Args:
        trainings: What to run: a cell, and those that share its training. The next one is taken only when there is room
            for it.
        keep: Given every row, those of failed attempts too.
        display: Shows progress.
        jobs: Cells at a time. Several share the machine: their times are not those of a cell that has it to itself.
        retries: Per failed training.
        launcher: What runs the cells; None: this process does, on this machine.
        checkpoints: Folder in which cells keep how far they have come, until they have ended well; None: they do not.
        tracking: Given each cell's last row once it is kept; the next cell waits for it.
        common: The fields of `Job` that all cells share.

    Returns:
        The last row of each cell, without its epochs and machine record, which would fill memory in a long sweep.
    """
    run = run_in_process if launcher is None else launcher.run
    is_remote = launcher is not None and launcher.is_remote
    queue = iter(trainings)
    retried: deque[tuple[Job, int]] = deque()
    running: dict[Future[Any], tuple[Job, int] | None] = {}
    """The job and the number of the attempt; None while its row is handed to the tracker."""
    results: list[CellResult] = []
    probed: dict[tuple[str, str], dict[str, Any]] = {}
    """Fields that are the same for every seed on this machine, by data set and method."""

    def take() -> tuple[Job, int] | None:
        """The next job and the number of the attempt, if there is any."""
        if retried:
            return retried.popleft()
        cells = next(queue, None)
        if cells is None:
            return None
        cell, *variants = cells
        display.cell_started(*cells)
        # A remote node describes itself; a cell that is lost before has the environment it was sent from.
        environment = describe_environment("cpu" if is_remote else cell.config.device)
        checkpoint = None if checkpoints is None else str(checkpoints / cell_stem(*cell.key))
        job = Job(cell=cell, variants=variants, environment=environment, checkpoint=checkpoint, **common)
        return job.model_copy(update={"probed": probed.get((cell.dataset, cell.method), {})}), 1

    def end(job: Job, attempt: int, result: CellResult) -> None:
        rows = rows_of(job, result)
        for row in rows:
            keep(row)
        if launcher is not None:
            launcher.recorded(job)
        if result.status != "ok" and attempt <= retries:
            what = f"{name_of(result)}: {result.error}; trying again, attempt {attempt + 1} of {retries + 1}"
            display.event(job.cell, WarningEvent(sentence=what))
            retried.append((job, attempt + 1))
            return
        if result.status == "ok" and not is_remote:  # another machine may have layers that hold something else
            probed[result.dataset, result.method] = {name: getattr(result, name) for name in PROBED}
        if result.status == "ok" and checkpoints is not None:
            for file in checkpoints.glob(f"{glob.escape(cell_stem(*job.cell.key))}.*"):
                file.unlink(missing_ok=True)
        for row in rows:
            results.append(row.model_copy(update={"epochs": [], "machine": None}))
            display.cell_ended(row)
            if tracking is not None:
                running[pool.submit(tracking.log, row)] = None

    with display, ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                while len(running) < jobs and (taken := take()):
                    running[pool.submit(run, taken[0], partial(display.event, taken[0].cell))] = taken
                if not running:
                    return results
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    result = done.result()
                    if ended := running.pop(done):
                        changed = {"attempt": ended[1]} | ({"launcher": launcher.name} if launcher else {})
                        end(*ended, result.model_copy(update=changed))
        except BaseException:
            while wait(running, timeout=0.05).not_done:  # one may only be about to start its process
                kill_all()  # with a launcher, too: a tracker is a process of this machine
                if launcher is not None:
                    launcher.cancel_all()
            raise
