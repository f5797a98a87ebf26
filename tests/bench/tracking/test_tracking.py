"""`--track`: what a tracker is given and when, and that nothing a tracker does stops a run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.runner import execute
from bench.tracking import registry
from bench.tracking.tracking import Tracking
from results.schema import CellResult
from results.store import read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import SMALL, Ended, Plugin, finish, refused, wait_until
from tests.factories import make_cell, write_run

HALVES = ("--datasets", "halves", *SMALL)


@pytest.fixture
def rogues(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """The plug-in's trackers for processes that this one starts, without what earlier tests left."""
    for name in ("PYTHONPATH", "ROGUE_FLAGS"):
        monkeypatch.setenv(name, plugin.environment[name])
    for flag in plugin.flags.iterdir():
        flag.unlink()
    return plugin


def notes_of(plugin: Plugin) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (plugin.flags / "notes").read_text().splitlines()]


def run(plugin: Plugin, out: Path, *arguments: str) -> tuple[Ended, list[CellResult]]:
    ended = plugin.run("--out", out, *HALVES, *arguments)
    return ended, read_cells(next(out.iterdir()))


def test_each_cell_is_handed_over_when_its_row_is_on_disk_and_while_none_trains(rogues: Plugin, tmp_path: Path) -> None:
    ended, rows = run(rogues, tmp_path, "--methods", "steady,raises", "--seeds", "0", "--track", "notes")
    notes = notes_of(rogues)
    assert [tuple(note["cell"]) for note in notes] == [row.key for row in rows]
    assert [note["rows"] for note in notes] == [1, 2]
    assert [note["training"] for note in notes] == [0, 0]
    assert [(note["status"], note["epochs"]) for note in notes] == [(row.status, len(row.epochs)) for row in rows]
    assert {note["status"] for note in notes} == {"ok", "error"}
    # What it says is told once, and what a library prints is not.
    assert [line for line in ended.lines if line.startswith("note: ")] == [f"note: notes are in {rows[0].run_id}"]
    assert "what a library prints" not in ended.out + ended.err


def test_cells_side_by_side_are_all_handed_over(rogues: Plugin, tmp_path: Path) -> None:
    ended, rows = run(rogues, tmp_path, "--methods", "steady", "--seeds", "0,1", "--jobs", "2", "--track", "notes")
    assert ended.code == 0
    assert sorted(tuple(note["cell"]) for note in notes_of(rogues)) == sorted(row.key for row in rows)
    assert len(rows) == 2


def test_a_tracker_that_raises_is_warned_of_once_and_costs_the_run_nothing(rogues: Plugin, tmp_path: Path) -> None:
    ended, rows = run(rogues, tmp_path, "--methods", "steady", "--seeds", "0,1", "--track", "refuses")
    assert ended.code == 0
    assert [row.status for row in rows] == ["ok", "ok"]
    assert Path(ended.out.splitlines()[-1]).is_file()
    assert [line for line in ended.lines if line.startswith("warning")] == [
        "warning: refuses could not log halves steady seed 0 (RuntimeError: no such luck), and is given no more cells; "
        "the run goes on"
    ]
    assert (rogues.flags / "asked").read_text() == "x"


def test_ctrl_c_while_a_tracker_hangs_ends_both_and_keeps_the_cell(rogues: Plugin, tmp_path: Path) -> None:
    # Where the tests themselves run with SIGINT ignored, as background jobs of a script do, so would the command.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = ("--methods", "steady", "--seeds", "0,1", "--jobs", "2", "--track", "hangs")
        process = rogues.start("--out", tmp_path, *HALVES, *arguments, new_session=True)
        assert wait_until((rogues.flags / "hanging").exists, 100)
        os.killpg(process.pid, signal.SIGINT)
        ended = finish(process, timeout=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.code == 130
    assert "cells are finished and kept" in ended.err
    assert any(row.status == "ok" for row in read_cells(next(tmp_path.iterdir())))
    assert wait_until(lambda: rogues.processes() == [], 10)


@pytest.mark.parametrize(
    ("tracker", "limit", "said"),
    [("hangs", 3, "it took longer than 3 s"), ("quits", 100, "its process ended with exit code 3: a last word")],
)
def test_a_tracker_that_gives_no_answer_is_left_behind(
    rogues: Plugin, tmp_path: Path, capfd: pytest.CaptureFixture[str], tracker: str, limit: float, said: str
) -> None:
    tracking = Tracking(tracker, write_run(tmp_path / "run", [make_cell()]), limit_seconds=limit)
    tracking.log(make_cell(seed=0))
    tracking.log(make_cell(seed=1))
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {tracker} could not log mnist backprop seed 0 ({said})")
    assert rogues.processes() == []


def test_a_tracker_whose_package_is_absent_is_refused_before_anything_runs(rogues: Plugin, tmp_path: Path) -> None:
    # A folder of that name, such as W&B leaves where it works, is no package.
    (Path(rogues.environment["PYTHONPATH"].split(os.pathsep)[0]) / "no_such_package_for_tracking").mkdir()
    ended = rogues.run("--out", tmp_path / "runs", *HALVES, "--methods", "steady", "--track", "absent")
    refused(ended, "--track absent", "no_such_package_for_tracking", "pip install")
    assert not (tmp_path / "runs").exists()


def test_an_unknown_tracker_is_refused_and_those_there_are_are_named(command: Command, tmp_path: Path) -> None:
    refused(command("--track", "abacus", "--out", tmp_path / "runs"), "abacus", "wandb", "tensorboard", "none")
    assert not (tmp_path / "runs").exists()


class Given:
    """Stands in for `Tracking` and remembers what it was given."""

    made: list[tuple[str, Path]]
    logged: list[CellResult]

    def __init__(self, tracker: str, run: Path) -> None:
        self.made.append((tracker, run))

    def log(self, result: CellResult) -> None:
        self.logged.append(result)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> type[Given]:
    Given.made, Given.logged = [], []
    monkeypatch.setattr(execute, "Tracking", Given)
    return Given


SHORT = ("--methods", "backprop-plain", "--threads", "1", "--train-size", "60")


def test_nothing_is_tracked_by_default(command: Command, cells: FakeCells, given: type[Given], tmp_path: Path) -> None:
    assert command(*SHORT, "--out", tmp_path).code == 0
    assert command(*SHORT, "--out", tmp_path, "--track", "none").code == 0
    assert given.made == []


def test_the_last_attempt_is_logged_alone(
    command: Command, cells: FakeCells, given: type[Given], tmp_path: Path
) -> None:
    cells.failing = {"backprop-plain"}
    command(*SHORT, "--seeds", "0", "--retries", "2", "--track", "tensorboard", "--out", tmp_path)
    assert [(row.status, row.attempt) for row in given.logged] == [("error", 3)]


@pytest.mark.parametrize(("flag", "tracked"), [((), 1), (("--track", "none"), 0)], ids=["as before", "not now"])
def test_a_resumed_run_tracks_the_cells_it_does_unless_told_otherwise(
    command: Command, cells: FakeCells, given: type[Given], tmp_path: Path, flag: tuple[str, ...], tracked: int
) -> None:
    cells.stop = {"backprop-plain": KeyboardInterrupt()}
    assert command(*SHORT, "--seeds", "0", "--track", "tensorboard", "--out", tmp_path).code == 130
    cells.stop = {}
    (folder,) = tmp_path.iterdir()
    assert read_run(folder).track == "tensorboard"
    given.made.clear()
    assert command("--resume", folder, *flag).code == 0
    assert given.made == [("tensorboard", folder)] * tracked
    assert [row.key for row in given.logged] == [("digits", "backprop-plain", 0)] * tracked


def test_a_run_can_be_tracked_from_a_resume_on(
    command: Command, cells: FakeCells, given: type[Given], tmp_path: Path
) -> None:
    cells.failing = {"backprop-plain"}
    assert command(*SHORT, "--seeds", "0", "--out", tmp_path).code == 1
    cells.failing = set()
    (folder,) = tmp_path.iterdir()
    assert command("--resume", folder, "--track", "tensorboard").code == 0
    assert [row.status for row in given.logged] == ["ok"]


def test_a_name_is_registered_once() -> None:
    taken, *_ = registry.names()
    with pytest.raises(ValueError, match=f"{taken!r} is already registered"):
        registry.register(taken)(Given)  # type: ignore[type-var]
