"""Train cells that differ in one setting, keep each row the moment it ends, and report on the folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.commandline.exit_codes import stop_code
from bench.errors import UserError
from bench.planning.resume import differing_fields
from bench.runner.folders import run_lock, without_out
from bench.runner.progress import make_display
from bench.runner.sweep import run_cells
from results.grid import GRID_FILE, GridPoint, GridRecord, Setting, read_grid, write_grid
from results.schema import CellResult, name_of
from results.store import append_cell


def run_grid(
    folder: Path,
    record: GridRecord,
    report: Callable[[Path], Path],
    *,
    trial: bool = False,
    data_dir: Path | None = None,
    timeout: float | None = None,
) -> int:
    """Train the points that the folder does not have yet, and report on all that it has.

    Args:
        folder: Made if it does not exist.
        record: What is asked for; the folder may have more cells under the same conditions.
        report: Builds the report of the folder, and returns its path.
        trial: Whether cells look at validation images alone. One that diverged then counts as done.
        data_dir: The user's data folder, if any.
        timeout: Seconds per cell.

    Returns:
        The exit code: 1 if a cell failed; for trials, if all of some method's did.

    Raises:
        UserError, ResultsError: the folder cannot be used, or has cells under other conditions.
    """
    with run_lock(folder):
        write_grid(folder, _joined(folder, record))
        points = record.points
        done = {key for key, row in read_grid(folder).rows.items() if row.status == "ok" or _counts(row, trial)}
        cells = [point.cell for point in points if point.cell.key not in done]
        try:
            run_cells(
                ([cell] for cell in cells),
                partial(append_cell, folder),
                make_display(len(points), len(points) - len(cells)),
                run_id=folder.name,
                data_dir=str(data_dir) if data_dir else None,
                timeout_seconds=timeout,
                trial=trial,
            )
        except KeyboardInterrupt as stop:
            rows = read_grid(folder).rows
            ended = sum(point.cell.key in rows for point in points)
            print(
                f"stopped: {ended} of {len(points)} cells have ended and are kept in {folder}; continue with the same "
                "command",
                file=sys.stderr,
            )
            return stop_code(stop)
        print(report(folder))
        return _exit_code(folder, points, trial)


def _counts(row: CellResult, trial: bool) -> bool:
    return trial and "diverged" in (row.error or "")


def new_grid(module: str, setting: Setting, points: Sequence[GridPoint], default: float | None = None) -> GridRecord:
    """What this command, `python -m module`, asks for."""
    return GridRecord(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commands=[shlex.join(["python", "-m", module, *without_out(sys.argv[1:])])],
        setting=setting,
        default=default,
        points=list(points),
    )


def _joined(folder: Path, new: GridRecord) -> GridRecord:
    """The record of what the folder has and of what is asked for.

    Raises:
        UserError: the folder has cells under other conditions.
    """
    if not (folder / GRID_FILE).exists():
        return new
    before = read_grid(folder).record
    if differing := _differing(before, new):
        raise UserError(
            f"{folder} has cells under other conditions (differing: {', '.join(differing)}): give the same, or another "
            "--name"
        )
    asked = {point.cell.key for point in new.points}
    kept = [point for point in before.points if point.cell.key not in asked]
    commands = list(dict.fromkeys([*before.commands, *new.commands]))
    return before.model_copy(update={"points": [*kept, *new.points], "commands": commands})


def _differing(before: GridRecord, new: GridRecord) -> list[str]:
    """What must be alike and is not: the configurations, but for the setting and what is a method's own."""
    if (before.setting, before.default) != (new.setting, new.default):
        return ["what is varied" if before.setting != new.setting else f"the default of {new.setting}"]
    fields: dict[str, None] = {}
    for ours in new.points:
        there = [point for point in before.points if point.cell.dataset == ours.cell.dataset]
        own = [point for point in there if point.method == ours.method]
        for theirs in own or there:
            found = differing_fields(theirs.cell.config, ours.cell.config)
            fields |= dict.fromkeys(each for each in found if own or not each.startswith("options."))
    return [each for each in fields if each not in (new.setting, f"options.{new.setting}")]


def _exit_code(folder: Path, points: Sequence[GridPoint], trial: bool) -> int:
    rows = read_grid(folder).rows
    failed = [row for point in points if (row := rows.get(point.cell.key)) is not None and row.status != "ok"]
    for row in failed:
        print(f"failed: {name_of(row)}: {row.error}", file=sys.stderr)
    if not trial:
        return 1 if failed else 0
    well = {(point.cell.dataset, point.method) for point in points if rows[point.cell.key].status == "ok"}
    return 1 if {(point.cell.dataset, point.method) for point in points} - well else 0
