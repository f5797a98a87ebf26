"""The runs that a page is made from, and the folders that are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.formats.markdown import FIGURES_FOLDER
from results.calibration import CALIBRATION_FILE
from results.files import STUDY_FILE, is_dir, is_file
from results.grid import GRID_FILE, Grid, read_grid
from results.race import RaceRecord, read_race
from results.scale import SCALE_FILE
from results.schema import CellResult, RunRecord
from results.store import RUN_FILE, ResultsError, read_cells, read_run

NO_RUNS = {
    STUDY_FILE: "a search for hyperparameters",
    SCALE_FILE: "a sweep of costs",
    CALIBRATION_FILE: "a calibration: a method against itself",
}
"""What a folder is that has one of these files."""


@dataclass(frozen=True, eq=False)
class Source:
    """A run as it was read."""

    name: str
    """Of its folder."""
    folder: Path
    record: RunRecord
    cells: list[CellResult]
    """Finished ones."""
    failed: int
    race: RaceRecord | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A folder that has no rows to compare, and why."""

    name: str
    why: str
    folder: Path
    grid: Grid | None = None
    """Where it is a sweep over one setting."""


def read_sources(folders: Sequence[Path]) -> tuple[list[Source], list[Skipped]]:
    """Read every run among these folders; files among them and the page's own folder of figures are passed over.

    Raises:
        ResultsError: a path does not exist, a run is damaged, or there is no run with a finished cell.
    """
    sources, skipped = [], []
    for folder in dict.fromkeys(folders):
        if not (is_dir(folder) or is_file(folder)):
            raise ResultsError(f"{folder} does not exist: name folders of runs, such as results/reference/*")
        is_figures = folder.name == FIGURES_FOLDER and not (folder / RUN_FILE).exists()
        if is_figures or not folder.is_dir():
            continue
        found = _read(folder)
        if isinstance(found, Source):
            sources.append(found)
        else:
            skipped.append(found)
    if not any(source.cells for source in sources):
        raise ResultsError(
            "there is no run with a finished cell among the folders given: name folders of runs, such as "
            "results/reference/*"
        )
    return sources, skipped


def _read(folder: Path) -> Source | Skipped:
    name = folder.resolve().name
    for file, what in NO_RUNS.items():
        if (folder / file).exists():
            return Skipped(name, what, folder)
    grid = read_grid(folder) if (folder / GRID_FILE).exists() else None
    if grid is not None:
        record, cells, race = _as_run(folder.name, grid), read_cells(folder), None
    elif (folder / RUN_FILE).exists():
        record, race = read_run(folder), read_race(folder)
        cells = read_cells(folder, record)
    else:
        return Skipped(name, f"it has no {RUN_FILE}", folder)
    if record.purpose == "calibration":
        return Skipped(name, NO_RUNS[CALIBRATION_FILE], folder)
    ended = [cell for cell in cells if cell.status == "ok"]
    finished = [cell for cell in ended if cell.test_accuracy is not None]
    if ended and not finished:
        return Skipped(name, "no test accuracy: its cells were judged on validation images", folder, grid)
    if not finished and race is None:
        return Skipped(name, "no cell of it has finished", folder, grid)
    return Source(name, folder, record, finished, len(cells) - len(ended), race)


def _as_run(name: str, grid: Grid) -> RunRecord:
    """A sweep over one setting, such as the depth, as if it were a run: its cells are whole trainings, too."""
    sweep = grid.record
    cells = list({point.cell.key: point.cell for point in sweep.points}.values())
    return RunRecord(run_id=name, created_at=sweep.created_at, command=sweep.commands[0], cells=cells)
