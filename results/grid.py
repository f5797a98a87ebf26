"""Cells that differ in one setting (`bench.tune --sweep`, `bench.scale --accuracy`) on disk.

FOLDER/grid.json    what was planned (`GridRecord`)
FOLDER/cells.jsonl  a row for each cell that has ended, as in a run's folder
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from results.conditions import SCHEMA_VERSION, Record, Version
from results.past_names import MethodLabel
from results.schema import CellResult, PlannedCell
from results.store import read_cells, read_record, write_record

GRID_FILE = "grid.json"
Setting = Literal["lr", "T"]
"""What differs: the learning rate, or the number of blocks."""


class GridPoint(Record):
    """A planned cell, and where it is in the grid."""

    method: MethodLabel
    """As the user named it, without the setting; the cell's own label has it."""
    value: Annotated[float, Field(gt=0.0)]
    """Of the setting."""
    cell: PlannedCell


class GridRecord(Record):
    """`grid.json`."""

    schema_version: Version = SCHEMA_VERSION
    created_at: str
    """UTC, ISO 8601."""
    commands: Annotated[list[str], Field(min_length=1)]
    """The command lines that made it, one after another."""
    setting: Setting
    default: Annotated[float, Field(gt=0.0)] | None = None
    """The setting's value where nobody varies it; null: there is none for all methods."""
    points: Annotated[list[GridPoint], Field(min_length=1)]
    """In the order in which they were planned."""


@dataclass(frozen=True)
class Grid:
    """What was planned, and the rows so far."""

    record: GridRecord
    rows: Mapping[tuple[str, str, int], CellResult]
    """By data set, label and seed."""

    @property
    def datasets(self) -> list[str]:
        """In the order of the plan."""
        return list(dict.fromkeys(point.cell.dataset for point in self.record.points))

    def values(self, dataset: str) -> list[float]:
        """The setting's, from the lowest."""
        return sorted({point.value for point in self.record.points if point.cell.dataset == dataset})

    def finished(self, dataset: str) -> dict[str, dict[float, list[CellResult]]]:
        """Cells with status `ok` by method and value, in order of seed; every planned method and value is a key."""
        found: dict[str, dict[float, list[CellResult]]] = {}
        for point in sorted(self.record.points, key=lambda point: (point.value, point.cell.seed)):
            if point.cell.dataset == dataset:
                there = found.setdefault(point.method, {}).setdefault(point.value, [])
                row = self.rows.get(point.cell.key)
                if row is not None and row.status == "ok":
                    there.append(row)
        order = dict.fromkeys(point.method for point in self.record.points)
        return {method: found[method] for method in order if method in found}

    def unfinished(self, dataset: str) -> list[tuple[GridPoint, str]]:
        """Points without a finished cell, each with its error, or `not run`."""
        return [
            (point, "not run" if row is None else row.error or row.status)
            for point in self.record.points
            if point.cell.dataset == dataset and ((row := self.rows.get(point.cell.key)) is None or row.status != "ok")
        ]


def write_grid(folder: Path, record: GridRecord) -> None:
    """Write the plan into a folder.

    Raises:
        ResultsError: it cannot be written.
    """
    write_record(folder / GRID_FILE, record)


def read_grid(folder: Path) -> Grid:
    """Read the plan and the rows in a folder.

    Raises:
        ResultsError: there is none, or something is damaged.
    """
    record = read_record(folder / GRID_FILE, GridRecord, "is not a grid of cells")
    return Grid(record, {row.key: row for row in read_cells(folder)})
