"""Reading and writing a run's folder. Append-only: a finished cell is on disk before the next one starts.

RUN/run.json      what the run set out to do (`RunRecord`), written once
RUN/cells.jsonl   one finished cell a line (`CellResult` and a checksum), appended and flushed as each ends
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from results.lines import MAX_LINE_BYTES, LineError, decode, encode, first_problem
from results.record import Record
from results.schema import SCHEMA_VERSION, CalibrationRecord, CellResult, RunRecord

if TYPE_CHECKING:
    import pandas as pd

RUN_FILE = "run.json"
CELLS_FILE = "cells.jsonl"
_Kind = TypeVar("_Kind", bound=Record)
_WHAT: dict[type[Record], str] = {RunRecord: "run record", CalibrationRecord: "calibration"}


class ResultsError(ValueError):
    """A results folder or file that cannot be used; the message is one sentence for the user."""


def create_run(folder: Path, record: RunRecord) -> None:
    """Make a new run's folder and write its `run.json`.

    Raises:
        ResultsError: the folder cannot be made, or already holds a run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=False)
        try:
            (folder / RUN_FILE).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)  # half a run would be no use to anybody
            raise
    except FileExistsError:
        raise ResultsError(f"{folder} already exists: choose another folder, or continue it with --resume") from None
    except OSError as error:
        raise ResultsError(f"cannot write results to {folder}: {error.strerror or error}") from None


def append_cell(folder: Path, result: CellResult) -> None:
    """Append one finished cell and force it to disk, in one write, so that a kill cannot leave half a line.

    Raises:
        ResultsError: the line cannot be written (disk full, folder gone).
    """
    line = encode(result)
    try:
        descriptor = os.open(folder / CELLS_FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # an editor took the last line's end away
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, size)
                raise OSError(f"only {written} of {len(line)} bytes fitted")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ResultsError(f"cannot append to {folder / CELLS_FILE}: {error.strerror or error}") from None


def read_run(folder: Path) -> RunRecord:
    """Read and validate `run.json`.

    Raises:
        ResultsError: no such run, or the file is damaged or of another version.
    """
    try:
        is_there = (folder / RUN_FILE).exists()
    except OSError as error:
        raise ResultsError(f"{folder} cannot be looked into: {error.strerror or error}") from None
    if not is_there:
        raise ResultsError(f"{folder} is not a run: it has no {RUN_FILE}")
    return read_record(folder / RUN_FILE, RunRecord)


def read_record(path: Path, kind: type[_Kind]) -> _Kind:
    """Read and validate a file that holds one record.

    Raises:
        ResultsError: the file is absent, cannot be read, is damaged, or of another version.
    """
    data = read_small(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ResultsError(f"cannot read {path}: {error}") from None
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise ResultsError(f"{path} is not a valid {_WHAT[kind]}: {first_problem(text, error)}") from None


def write_record(path: Path, record: Record) -> None:
    """Write a file that holds one record; it is there whole or, as before, not at all.

    Raises:
        ResultsError: it cannot be written.
    """
    replace_file(path, (record.model_dump_json(indent=2) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file; it is there whole or, as before, not at all.

    Raises:
        ResultsError: it cannot be written.
    """
    written = path.with_suffix(".part")
    try:
        written.write_bytes(content)
        written.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)
        raise ResultsError(f"cannot write {path}: {error.strerror or error}") from None


def read_cells(folder: Path) -> list[CellResult]:
    """Read every finished cell, in the order in which they ended; an empty list when none has.

    Where a cell was run again (a failure, then a success on resume), the last line counts.

    Raises:
        ResultsError: a line is cut short, was changed, is not ours, or is of another version.
    """
    path = folder / CELLS_FILE
    latest: dict[tuple[str, str, int], CellResult] = {}
    try:
        with path.open("rb") as file:
            for number in itertools.count(1):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    break
                if not line.strip():
                    continue
                result = _result(line, f"line {number} of {path}")
                latest.pop(result.key, None)
                latest[result.key] = result
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from None
    return list(latest.values())


def _result(line: bytes, where: str) -> CellResult:
    if len(line) > MAX_LINE_BYTES:
        raise ResultsError(
            f"{where} is longer than {MAX_LINE_BYTES >> 20} MiB, so it is no result: delete that line and run with "
            "--resume to redo its cell"
        )
    try:
        return decode(line)
    except LineError as error:
        raise ResultsError(
            f"{where} is not a complete result of schema version {SCHEMA_VERSION} ({error}): delete that line and run "
            "with --resume to redo its cell"
        ) from None


def read_small(path: Path) -> bytes:
    """The content of a file that is small if it is ours.

    Raises:
        ResultsError: it cannot be read, or is too large to be one of ours.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > MAX_LINE_BYTES:
        raise ResultsError(f"{path} is larger than {MAX_LINE_BYTES >> 20} MiB, so it is not one of ours")
    return data


def to_frame(cells: Iterable[CellResult]) -> pd.DataFrame:
    """One row a cell, one column a top-level field (nested records stay as dicts and lists)."""
    import pandas as pd  # here: a worker writes results without it, and starts faster

    return pd.DataFrame([cell.model_dump() for cell in cells], columns=list(CellResult.model_fields))


def to_epoch_frame(cells: Iterable[CellResult]) -> pd.DataFrame:
    """One row an evaluated epoch of a cell: dataset, method, seed, the epoch's fields, and `elapsed_seconds`.

    `elapsed_seconds` is the training time spent by the end of that epoch, evaluation not counted.
    """
    import pandas as pd

    rows = []
    for cell in cells:
        elapsed = 0.0
        for epoch in cell.epochs:
            elapsed += epoch.train_seconds
            key = {"dataset": cell.dataset, "method": cell.method, "seed": cell.seed}
            rows.append(key | epoch.model_dump() | {"elapsed_seconds": elapsed})
    return pd.DataFrame(rows)
