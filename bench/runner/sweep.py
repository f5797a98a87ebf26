"""Run a plan's cells one after another, keeping each one's row the moment it ends."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import Any

from bench.errors import UserError
from bench.meters.environment import describe_environment
from bench.protocol import Event, Job, WarningEvent
from bench.runner.isolation import end_all, run_in_process
from bench.runner.launchers.base import Launcher
from bench.runner.progress import Display
from bench.runner.torchrun.team import team
from bench.tracking.tracking import Tracking
from results.calibration import find_calibration
from results.files import file_stem, is_dir
from results.schema import CellResult, PlannedCell, RunRecord, name_of
from results.store import append_cell, create_run, read_run


def start_run(out: Path, cells: list[PlannedCell], command: str, **how: Any) -> Path:
    """Make the folder of a new run inside `out` and write down what it sets out to do.

    Args:
        out: Where the folder is made.
        cells: What is to be done.
        command: The command line that does it.
        how: `save_models`, `jobs`, `launcher`, `launcher_options`, `timeout_seconds`, `retries`, `track` and
            `purpose`, as in `RunRecord`.

    Returns:
        The run's folder, named by time, data sets and preset.

    Raises:
        ResultsError: the folder cannot be written.
    """
    now = datetime.now(UTC)
    config = cells[0].config
    calibration = None
    if how.get("launcher", "local") == "local":  # elsewhere it would be of another machine
        here = describe_environment(config.device)
        calibration, unreadable = find_calibration(out, here, config.threads, config.device)
        for path in unreadable:
            print(f"note: {path} cannot be read, so it is passed over", file=sys.stderr)
    names = "+".join(dict.fromkeys(file_stem(cell.dataset) for cell in cells))
    # The last part keeps two runs of the same second apart.
    run_id = f"{now:%Y%m%d-%H%M%S}-{names}-{cells[0].config.preset}-{secrets.token_hex(2)}"
    folder = out / run_id
    record = RunRecord(
        run_id=run_id,
        created_at=now.isoformat(timespec="seconds"),
        command=command,
        cells=cells,
        calibration=calibration,
        **how,
    )
    create_run(folder, record)
    return folder


def find_run(name: str, out: Path) -> Path:
    """The folder of a run, given as a path or by its name inside `out`.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(name), out / name) if name.strip() else ():
        if is_dir(folder):
            return folder
    raise UserError(f"there is no run {name!r}, neither as a folder nor in {out}")


def run_cells(
    run: Path,
    cells: Sequence[PlannedCell],
    data_dir: Path | None,
    display: Display,
    jobs: int = 1,
    launcher: Launcher | None = None,
    tracking: Tracking | None = None,
) -> list[CellResult]:
    """Run the cells in order, each in its own process; each row is on disk before the next cell starts.

    Args:
        run: The run's folder.
        cells: What to run.
        data_dir: The user's data folder, if any.
        display: Shows how it goes.
        jobs: How many cells run at a time. More than one share the machine: their times are not those of a cell alone.
        launcher: What runs them; None: this process does, on this machine.
        tracking: Is given each cell's last row when it is on disk, before the next cell starts (in its place, where
            cells run side by side).

    Returns:
        The last row of each of these cells, failures included, without what it says of its epochs and the machine.

    Raises:
        ResultsError: a row cannot be written.
    """
    results: list[CellResult] = []
    # Where a launcher runs them, their node says what it is; a cell that is lost before has what is known here.
    environments = {
        device: describe_environment(device if launcher is None else "cpu")
        for device in {cell.config.device for cell in cells}
    }
    if launcher is not None and data_dir is not None:
        data_dir = data_dir.resolve()  # a node may start in another folder
    record = read_run(run)
    writing = Lock()
    stopped = Flag()

    def start(job: Job, on_event: Callable[[Event], None]) -> CellResult:
        if launcher is not None:
            return launcher.run(job, run, on_event).model_copy(update={"launcher": launcher.name})
        return (team().run if job.cell.config.parallel else run_in_process)(job, on_event)

    def run_one(cell: PlannedCell) -> None:
        job = Job(
            run_id=record.run_id,
            cell=cell,
            data_dir=str(data_dir) if data_dir else None,
            save_in=str(run.resolve()) if record.save_models else None,
            environment=environments[cell.config.device],
            timeout_seconds=record.timeout_seconds,
        )
        with writing:
            if stopped.is_set():
                return
            display.cell_started(cell)
        for attempt in range(1, record.retries + 2):
            result = start(job, partial(display.event, cell)).model_copy(update={"attempt": attempt})
            is_last = result.status == "ok" or attempt == record.retries + 1
            with writing:
                if stopped.is_set():
                    return
                append_cell(run, result)
                if launcher is not None:
                    launcher.kept(job)
                if is_last:
                    # Its epochs are on disk; kept here too, they would make a long sweep's harness fat.
                    results.append(result.model_copy(update={"epochs": [], "machine": None}))
                    display.cell_ended(result)
                    break
                again = f"{name_of(cell)}: {result.error}; trying again, attempt {attempt + 1} of {record.retries + 1}"
                display.event(cell, WarningEvent(sentence=again))
        if tracking is not None:
            tracking.log(result)

    with display:
        if jobs == 1 and launcher is None:
            for cell in cells:
                run_one(cell)
            return results
        with ThreadPoolExecutor(min(jobs, max(1, len(cells)))) as pool:
            waiting = set()
            try:
                for cell in cells:
                    waiting.add(pool.submit(run_one, cell))
                for done in as_completed(waiting):
                    done.result()
            except BaseException:
                stopped.set()
                while waiting := wait(waiting, timeout=0.05).not_done:  # one may only be about to start its process
                    end_all()  # with a launcher, too: a tracker is a process of this machine
                    if launcher is not None:
                        launcher.end_all()
                raise
    return results
