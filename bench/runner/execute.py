"""Execute a prepared run: its cells, the race, then the report; if stopped, say what is kept and how to go on."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module

from bench.commandline.exit_codes import stop_code
from bench.planning.resume import unfinished
from bench.planning.sharing import group_by_training
from bench.runner.folders import run_lock
from bench.runner.launchers import LAUNCHERS
from bench.runner.launchers.base import Launcher
from bench.runner.prepare import Run
from bench.runner.progress import make_display
from bench.runner.race import race_run
from bench.runner.sweep import run_cells
from bench.runner.time_taken import time_taken
from bench.runner.torchrun.rank_info import command_start, find_rank_info
from bench.tracking.tracking import Tracking
from reports import build
from results.calibration import calibrate, write_calibration
from results.schema import CellResult, name_of
from results.sharing import sharing
from results.store import append_cell, create_run, read_cells

CHECKPOINTS_FOLDER = "checkpoints"
"""In the run's folder; gone when every cell has ended well."""


def execute(run: Run) -> int:
    """Run the cells that are still to be done, and report on the whole run.

    Returns:
        The exit code of the command.

    Raises:
        UserError, ResultsError: the launcher or the run's folder cannot be used.
    """
    folder, record = run.folder, run.record
    start = time.monotonic()
    with _open_launcher(run) as launcher:
        if run.is_new:
            create_run(folder, record)
        with run_lock(folder, is_new=run.is_new):
            cells = unfinished(folder, record, read_cells(folder))  # another process may have added rows until now
            data_dir = run.data_dir.resolve() if run.data_dir and run.placement.is_remote else run.data_dir
            try:
                ended = run_cells(
                    group_by_training(cells),
                    partial(append_cell, folder),
                    make_display(len(record.cells), len(record.cells) - len(cells), in_turn=run.placement.in_turn),
                    jobs=run.placement.jobs,
                    retries=record.retries,
                    launcher=launcher,
                    tracking=Tracking(run.track, folder) if run.track else None,
                    run_id=record.run_id,
                    data_dir=str(data_dir) if data_dir else None,
                    checkpoints=folder.resolve() / CHECKPOINTS_FOLDER,
                    checkpoint_every=record.checkpoint_every,
                    save_in=str(folder.resolve()) if record.save_models else None,
                    timeout_seconds=record.timeout_seconds,
                )
                trained = time.monotonic()
                if record.race:
                    race_run(folder, record, run.data_dir)
                in_race = time.monotonic() - trained if record.race else None
                if not unfinished(folder, record, read_cells(folder)):
                    shutil.rmtree(folder / CHECKPOINTS_FOLDER, ignore_errors=True)
                return _report(
                    run, ended, lambda: time_taken(time.monotonic() - start, ended, trained - start, in_race)
                )
            except KeyboardInterrupt as stop:
                kept = sum(cell.status == "ok" for cell in read_cells(folder))
                print(
                    f"stopped: {kept} of {len(record.cells)} cells are finished and kept; go on with: "
                    f"{shlex.join(_resume_command(run))}",
                    file=sys.stderr,
                )
                return stop_code(stop)


def _open_launcher(run: Run) -> AbstractContextManager[Launcher | None]:
    """What runs the cells, checked and connected; None: this process."""
    if (rank_info := find_rank_info()) and run.record.cells[0].config.parallel:
        from bench.runner.torchrun.rank_group import RankGroup

        return RankGroup(rank_info)
    if not (path := LAUNCHERS[run.placement.launcher]) or not run.cells:
        return nullcontext()
    module, _, name = path.partition(":")
    launcher: Launcher = getattr(import_module(module), name)(run)
    return launcher


def _report(run: Run, ended: Sequence[CellResult], took: Callable[[], str]) -> int:
    """Build the report, print its table, what `took` so long and its path, and name what went wrong; the exit code."""
    folder, record, rows = run.folder, run.record, read_cells(run.folder)
    if record.purpose == "calibration":
        write_calibration(folder, calibrate(record, rows))
    finished = [row for row in rows if row.status == "ok"]
    if finished:
        view, report = build.view_and_report(folder, forms=run.forms)
        print(build.closing_text(view))
        if how := sharing(record, finished):
            print(f"note: {how}: times are not those of a cell that has a machine to itself, and not to be compared")
        if ended:
            print(took())
        print(report)
    else:
        print(f"no cell finished, so there is no report; what went wrong is in {folder}", file=sys.stderr)
    failed = [cell for cell in ended if cell.status != "ok"]
    for cell in failed:
        print(f"failed: {name_of(cell)}: {cell.error}", file=sys.stderr)
    unsaved = [cell for cell in ended if record.save_models and cell.status == "ok" and cell.model_file is None]
    for cell in unsaved:
        print(f"not saved: the model of {name_of(cell)} (its result is kept)", file=sys.stderr)
    return 1 if failed or unsaved else 0


def _resume_command(run: Run) -> list[str]:
    """The command line that goes on with the run as it is run now."""
    flags = [*run.forms.flags, *run.placement.resume_flags(run.record)]
    if run.track != run.record.track:
        flags += ["--track", run.track or "none"]
    if run.data_dir is not None:
        flags += ["--data-dir", str(run.data_dir)]
    return [*command_start(find_rank_info()), "--resume", str(run.folder), *flags]
