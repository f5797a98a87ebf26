"""A run's folder: what is written comes back, and nothing that was there is ever lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.schema import SCHEMA_VERSION, CellResult, EpochRecord
from results.store import (
    CELLS_FILE,
    RUN_FILE,
    ResultsError,
    append_cell,
    create_run,
    encode,
    read_cells,
    read_run,
    to_epoch_frame,
    to_frame,
)
from tests.factories import make_cell, make_cells, make_failed_cell, make_run
from tests.results.conftest import contents


def test_run_comes_back(tmp_path: Path) -> None:
    record = make_run(make_cells())
    create_run(tmp_path / "new" / "run", record)
    assert read_run(tmp_path / "new" / "run") == record


def test_cells_come_back_in_the_order_in_which_they_ended(run: Path) -> None:
    more = [make_failed_cell("noprop", seed=2), make_cell("noprop[T=20]", seed=1)]
    for cell in more:
        append_cell(run, cell)
    assert read_cells(run) == [make_cell(), *more]


def test_a_cell_is_one_line_whatever_is_in_it(run: Path) -> None:
    before = (run / CELLS_FILE).read_bytes()
    cell = make_failed_cell("noprop", error="two\nlines", traceback="a\r\nb\u2028c\x85d\n")
    append_cell(run, cell)
    after = (run / CELLS_FILE).read_bytes()
    assert after.startswith(before)
    added = after.removeprefix(before)
    assert added.count(b"\n") == 1
    assert added.endswith(b"\n")
    assert read_cells(run)[-1] == cell


@settings(derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(error=st.text(st.characters(exclude_categories=["Cs"])), seconds=st.floats(0, 1e300), seed=st.integers(0, 2**32))
def test_any_values_come_back(run: Path, error: str, seconds: float, seed: int) -> None:
    cell = make_failed_cell("noprop", seed=seed, error=error, wall_seconds=seconds)
    append_cell(run, cell)
    assert read_cells(run)[-1] == cell


def test_later_row_of_a_cell_wins(run: Path) -> None:
    append_cell(run, make_failed_cell("noprop"))
    append_cell(run, make_cell("noprop[T=20]"))
    append_cell(run, make_cell("noprop"))
    assert read_cells(run) == [make_cell(), make_cell("noprop[T=20]"), make_cell("noprop")]


def test_pandas_reads_the_file_as_it_is(run: Path) -> None:
    append_cell(run, make_cell("noprop"))
    frame = pd.read_json(run / CELLS_FILE, lines=True)
    assert frame["method"].tolist() == ["backprop", "noprop"]
    assert frame["test_accuracy"].tolist() == [make_cell().test_accuracy, make_cell("noprop").test_accuracy]


def test_no_cell_yet(tmp_path: Path) -> None:
    create_run(tmp_path / "run", make_run([make_cell()]))
    assert read_cells(tmp_path / "run") == []


VALID = encode(make_cell()).decode().rstrip()
UNCHECKED = make_cell().model_dump_json()
BROKEN = {
    "half a line": (VALID[: len(VALID) // 2], "line 2"),
    "foreign": ('{"metric": 3}', "line 2"),
    "not an object": ("[1, 2]", "line 2"),
    "no JSON": ("accuracy 0.9", "line 2"),
    "not text": ("\udcff\udcfe", "line 2"),
    "nested deeply": ("[" * 100_000, "line 2"),
    "newer": (UNCHECKED.replace('"schema_version":3', '"schema_version":7'), "it is of schema version 7"),
    "unknown field": (UNCHECKED[:-1] + ',"colour":"red"}', "colour"),
    "no checksum": (UNCHECKED, "it has no checksum"),
    "changed": (VALID.replace('"status":"ok"', '"status":"ok" '), "does not match its checksum"),
    "improved": (VALID.replace('"test_accuracy":0.9', '"test_accuracy":0.99'), "does not match its checksum"),
    "cut, then ended": (VALID[:40] + VALID[-80:], "line 2"),
    "impossible": (UNCHECKED.replace('"seed":0', '"seed":-1'), "seed"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("end", ["", "\n", "\n" + VALID + "\n"], ids=["at the end", "with its end", "in the middle"])
def test_broken_line(run: Path, name: str, end: str) -> None:
    line, said = BROKEN[name]
    with (run / CELLS_FILE).open("ab") as file:
        file.write((line + end).encode(errors="surrogateescape"))
    before = contents(run)
    with pytest.raises(ResultsError, match="line 2 of") as refusal:
        read_cells(run)
    assert said in str(refusal.value)
    assert str(run / CELLS_FILE) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert contents(run) == before


def test_a_row_that_a_newer_program_wrote_is_not_to_be_deleted(run: Path) -> None:
    body = encode(make_cell()).decode().split(',"sha256"')[0]
    for newer in (
        body.replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":99'),
        body + ',"from_tomorrow":1',
    ):
        line = f'{newer},"sha256":"{hashlib.sha256((newer + "}").encode()).hexdigest()}"}}\n'
        (run / CELLS_FILE).write_text(line)
        with pytest.raises(ResultsError, match=r"update this program$"):
            read_cells(run)


def test_a_byte_order_mark_of_an_editor_is_no_damage(run: Path) -> None:
    for name in (CELLS_FILE, RUN_FILE):
        (run / name).write_bytes(b"\xef\xbb\xbf" + (run / name).read_bytes())
    assert read_cells(run) == [make_cell()]
    assert read_run(run).cells


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], RUN_FILE),
        (lambda text: "", RUN_FILE),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 7'), "schema version 7"),
        (lambda text: json.dumps(json.loads(text) | {"cells": []}), "cells"),
    ],
    ids=["half", "empty", "newer", "no cells"],
)
def test_broken_run_file(run: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    (run / RUN_FILE).write_text(change((run / RUN_FILE).read_text()))
    with pytest.raises(ResultsError, match="is not a valid run record") as refusal:
        read_run(run)
    assert said in str(refusal.value)


def test_version_is_written(run: Path) -> None:
    assert json.loads((run / CELLS_FILE).read_text())["schema_version"] == SCHEMA_VERSION
    assert json.loads((run / RUN_FILE).read_text())["schema_version"] == SCHEMA_VERSION


def test_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is not a run"):
        read_run(tmp_path)
    with pytest.raises(ResultsError, match="is not a run"):
        read_run(tmp_path / "absent")


def test_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be looked into"):
        read_run(tmp_path / ("x" * 300))


def test_a_run_is_never_written_over(run: Path) -> None:
    before = contents(run)
    with pytest.raises(ResultsError, match="already exists"):
        create_run(run, make_run([make_cell(seed=9)]))
    assert contents(run) == before


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        create_run(tmp_path / "run", make_run([make_cell()]))
    assert list(tmp_path.iterdir()) == []


def test_full_disk_takes_back_what_fitted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    with pytest.raises(ResultsError, match="only 100 of"):
        append_cell(run, make_cell("noprop"))
    assert contents(run) == before
    monkeypatch.undo()
    append_cell(run, make_cell("noprop"))
    assert len(read_cells(run)) == 2


def test_disk_that_takes_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = contents(run)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResultsError, match=r"cells\.jsonl: No space left on device"):
        append_cell(run, make_cell("noprop"))
    assert contents(run) == before


def test_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot append to"):
        append_cell(tmp_path / "gone", make_cell())


def test_line_that_lost_its_end_is_not_written_into(run: Path) -> None:
    file = run / CELLS_FILE
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    append_cell(run, make_cell("noprop"))
    assert read_cells(run) == [make_cell(), make_cell("noprop")]
    assert file.read_bytes().count(b"\n") == 2


def test_frame_has_a_row_a_cell_and_every_field() -> None:
    cells = [make_cell(), make_failed_cell("noprop")]
    frame = to_frame(cells)
    assert list(frame.columns) == list(CellResult.model_fields)
    assert frame["method"].tolist() == ["backprop", "noprop"]
    assert frame["test_accuracy"].isna().tolist() == [False, True]
    assert list(to_frame([]).columns) == list(CellResult.model_fields)


def test_epoch_frame_counts_training_time_alone() -> None:
    epochs = [
        EpochRecord(
            epoch=number, train_loss=1, val_accuracy=0.5, test_accuracy=0.5, train_seconds=seconds, eval_seconds=100
        )
        for number, seconds in enumerate((2.0, 3.0, 0.5), start=1)
    ]
    frame = to_epoch_frame([make_cell(epochs=3), make_failed_cell("noprop")])
    assert frame["epoch"].tolist() == [1, 2, 3]
    frame = to_epoch_frame([make_cell(seed=seed).model_copy(update={"epochs": epochs}) for seed in (4, 7)])
    assert frame["seed"].tolist() == [4, 4, 4, 7, 7, 7]
    assert frame["elapsed_seconds"].tolist() == [2.0, 5.0, 5.5] * 2
    assert frame["train_seconds"].tolist() == [2.0, 3.0, 0.5] * 2
