"""From planned cells to a report: run them, keep what there is when stopped, and say how it went."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.commandline.exit_codes import stop_code
from bench.runner.launchers.base import Launcher
from bench.runner.progress import LineDisplay, make_display
from bench.runner.sweep import run_cells
from bench.runner.torchrun.launch import command_start, find_place
from bench.tracking.tracking import Tracking
from reports import build
from reports.formats.choice import PLAIN, Forms
from results.calibration import calibrate, write_calibration
from results.schema import PlannedCell, name_of
from results.sharing import sharing
from results.store import read_cells, read_run


def conduct(
    run: Path,
    cells: Sequence[PlannedCell],
    data_dir: Path | None,
    jobs: int = 1,
    launcher: Launcher | None = None,
    *,
    track: str | None = None,
    forms: Forms = PLAIN,
    again: Sequence[str] = (),
) -> int:
    """Run the cells and report on them; if stopped, say what is kept and how to go on.

    Args:
        run: The run's folder, held by this process.
        cells: Those of its cells that are still to be done.
        data_dir: The user's data folder, if any.
        jobs: How many cells run at a time.
        launcher: What runs them; None: this process does, on this machine.
        track: The tracker that finished cells are handed to, if any.
        forms: What the report is written as besides Markdown.
        again: What besides a resumed run has to be given to go on as now.

    Returns:
        The exit code of the command.
    """
    try:
        return _run_and_report(run, cells, data_dir, jobs, launcher, track, forms)
    except KeyboardInterrupt as stop:
        kept, total = sum(cell.status == "ok" for cell in read_cells(run)), len(read_run(run).cells)
        command = [*command_start(find_place()), "--resume", str(run), *forms.flags, *again]
        if data_dir is not None:
            command += ["--data-dir", str(data_dir)]
        print(
            f"stopped: {kept} of {total} cells are finished and kept; go on with: {shlex.join(command)}",
            file=sys.stderr,
        )
        return stop_code(stop)


def _run_and_report(
    run: Path,
    cells: Sequence[PlannedCell],
    data_dir: Path | None,
    jobs: int,
    launcher: Launcher | None,
    track: str | None,
    forms: Forms,
) -> int:
    """Run the cells, build the report, and print its table and path."""
    record = read_run(run)
    total = len(record.cells)
    done = total - len(cells)
    display = make_display(total, done, jobs) if launcher is None else LineDisplay(total, done)
    tracking = Tracking(track, run) if track else None
    results = run_cells(run, cells, data_dir, display, jobs, launcher, tracking)
    rows = read_cells(run)
    if record.purpose == "calibration":
        write_calibration(run, calibrate(record, rows))
    if any(row.status == "ok" for row in rows):
        report = build.build_report(run, forms=forms)
        print(build.short_table(rows))
        if how := sharing(record, (row for row in rows if row.status == "ok")):
            print(f"note: {how}: times are not those of a cell that has a machine to itself, and not to be compared")
        print(report)
    else:
        print(f"no cell finished, so there is no report; what went wrong is in {run}", file=sys.stderr)
    failed = [cell for cell in results if cell.status != "ok"]
    for cell in failed:
        print(f"failed: {name_of(cell)}: {cell.error}", file=sys.stderr)
    unsaved = [cell for cell in results if record.save_models and cell.status == "ok" and cell.model_file is None]
    for cell in unsaved:
        print(f"not saved: the model of {name_of(cell)} (its result is kept)", file=sys.stderr)
    return 1 if failed or unsaved else 0
