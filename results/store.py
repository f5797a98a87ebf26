"""Reading and writing a run's folder. Append-only: a finished cell is on disk before the next one starts.

RUN/run.json      what the run set out to do (`RunRecord`), written once
RUN/cells.jsonl   one finished cell per line, appended and flushed as each ends: a `CellResult` as a JSON object whose
                  last member is a checksum of the rest
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from results.conditions import Record, Version
from results.files import write_aside
from results.schema import SCHEMA_VERSION, CellResult, RunRecord

if TYPE_CHECKING:
    import pandas as pd

RUN_FILE = "run.json"
CELLS_FILE = "cells.jsonl"
MAX_LINE_BYTES = 64 * 2**20
"""Far more than any result takes. A longer line is not ours, and is not read into memory to find that out."""
_FIRST_WITH_CHECKSUM = 3
_CHECKSUM = re.compile(rb',"sha256":"([0-9a-f]{64})"\}$')
_Kind = TypeVar("_Kind", bound=BaseModel)


class ResultsError(ValueError):
    """A results folder or file cannot be used; the message is one sentence for the user."""


class LineError(ValueError):
    """A line is not a result; the message says why in a few words."""

    def __init__(self, reason: str, *, is_newer: bool = False) -> None:
        super().__init__(reason)
        self.is_newer = is_newer
        """Whether a newer version of this program wrote it, so that it is worth keeping."""


def encode(record: BaseModel) -> bytes:
    """A record as one line of JSON, newline included, whose last member is the SHA-256 of the line without it."""
    body = record.model_dump_json().encode()
    return body[:-1] + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def split_checksum(line: bytes) -> tuple[bytes, bool | None]:
    """An encoded line without its checksum, and whether that is right; None: it has none."""
    line = line.removeprefix(codecs.BOM_UTF8).strip()  # which an editor put there
    found = _CHECKSUM.search(line)
    if found is None:
        return line, None
    body = line[: found.start()] + b"}"
    return body, hashlib.sha256(body).hexdigest().encode() == found[1]


def decode(line: bytes) -> CellResult:
    """The result of a line.

    Raises:
        LineError: it is cut short, was changed, is not ours, or is of another version.
    """
    body, is_unchanged = split_checksum(line)
    try:
        result = CellResult.model_validate_json(body)
    except ValidationError as error:
        is_newer = is_unchanged is True or (_version(body) or 0) > SCHEMA_VERSION
        raise LineError(first_problem(body, error), is_newer=is_newer) from None
    if is_unchanged is None and result.schema_version >= _FIRST_WITH_CHECKSUM:
        raise LineError("it has no checksum")
    if is_unchanged is False:
        raise LineError("it does not match its checksum, so something changed it after it was written")
    return result


def first_problem(text: str | bytes, error: ValidationError) -> str:
    """Why a record did not validate, in a few words: its version if that is the reason."""
    version = _version(text)
    if version is not None and version not in get_args(Version):
        return f"it is of schema version {version}, and this program knows those up to {SCHEMA_VERSION}"
    first: Any = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    problem = " ".join(str(first["msg"]).split())[:200]
    return f"{where}: {problem}" if where else problem


def _version(text: str | bytes) -> int | None:
    """The schema's version that a record says it has."""
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        return None
    return version if isinstance(version, int) else None


def create_run(folder: Path, record: RunRecord) -> None:
    """Make a new run's folder and write its `run.json`.

    Raises:
        ResultsError: the folder already exists, or cannot be made.
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
    return read_record(folder / RUN_FILE, RunRecord, "is not a valid run record")


def read_record(path: Path, kind: type[_Kind], wrong: str = "is not valid", advice: str = "") -> _Kind:
    """Read and validate a small file that has one record.

    Where the content is not valid, the error is: the path, `wrong`, the problem, `advice`.

    Raises:
        ResultsError: the file is absent, cannot be read, is damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > MAX_LINE_BYTES:
        raise ResultsError(f"{path} is larger than {MAX_LINE_BYTES >> 20} MiB, so it is not one of ours")
    try:
        return kind.model_validate_json(data.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        raise ResultsError(f"{path} {wrong}: {first_problem(data, error)}{advice}") from None


def write_record(path: Path, record: Record) -> None:
    """Write a file that has one record; it is replaced as a whole or not at all.

    Raises:
        ResultsError: it cannot be written.
    """
    replace_file(path, (record.model_dump_json(indent=2) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file; it is there whole or, as before, not at all.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        with write_aside(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror or error}") from None


def read_cells(folder: Path, run: RunRecord | None = None) -> list[CellResult]:
    """Read every finished cell, in the order in which they ended; an empty list if none has.

    If a cell was run again (a failure, then a success on resume), its last line counts.

    Args:
        folder: Of a run, or of cells that differ in one setting.
        run: What its `run.json` says.

    Raises:
        ResultsError: a line is cut short, was changed, is not ours, is of another version, or of another run.
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
    for row in latest.values():
        if run is not None and row.run_id != run.run_id:
            raise ResultsError(
                f"{path} has rows of the run {row.run_id}, and {folder / RUN_FILE} is that of {run.run_id}: put the "
                "files back that belong together"
            )
    return list(latest.values())


def _result(line: bytes, where: str) -> CellResult:
    if len(line) > MAX_LINE_BYTES:
        raise ResultsError(
            f"{where} is longer than {MAX_LINE_BYTES >> 20} MiB, so it is not a result: delete that line and run with "
            "--resume to redo its cell"
        )
    try:
        return decode(line)
    except LineError as error:
        raise ResultsError(
            f"{where} is not a complete result of schema version {SCHEMA_VERSION} ({error}): "
            + ("update this program" if error.is_newer else "delete that line and run with --resume to redo its cell")
        ) from None


def to_frame(cells: Iterable[CellResult]) -> pd.DataFrame:
    """One row per cell, one column per top-level field (nested records stay dicts and lists)."""
    import pandas as pd  # here: a worker writes results without it, and starts faster

    return pd.DataFrame([cell.model_dump() for cell in cells], columns=list(CellResult.model_fields))


def to_epoch_frame(cells: Iterable[CellResult]) -> pd.DataFrame:
    """One row per evaluated epoch of a cell: dataset, method, seed, the epoch's fields, and `elapsed_seconds`.

    `elapsed_seconds` is the training time by the end of that epoch, without evaluation.
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
