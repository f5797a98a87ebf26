"""`--retries`, `--timeout` and the lock on a run's folder, through the command line."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.children import protocol
from bench.children.processes import python
from bench.children.protocol import Job, RowBuilder
from bench.commandline import params
from bench.runner import folders, grid, isolation, sweep
from bench.runner.folders import run_lock
from reports.page import report_page
from reports.view import arrange
from results.schema import CellResult
from results.store import CELLS_FILE, read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import PROJECT

METHODS = ("--methods", "backprop-plain,backprop[T=1]", "--seeds", "0")


@pytest.fixture
def moody(cells: FakeCells, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a method's cell fails before it works."""
    failures: dict[str, int] = {}

    def run(job: Job, on_event: Callable[[Any], None]) -> CellResult:
        method = job.cell.method
        left = failures.get(method, 0)
        cells.failing = {method} if left else set()
        failures[method] = left - 1 if left else 0
        return cells(job, on_event)

    monkeypatch.setattr(sweep, "run_in_process", run)
    return failures


class Backwards(datetime):
    """A clock that is set back by an hour whenever it is read."""

    hours = count()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime(2026, 3, 1, 12, tzinfo=tz) - timedelta(hours=next(cls.hours))


def test_a_clock_set_back_during_a_run_changes_no_duration_and_loses_no_row(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Job, on_event: Callable[[Any], None]) -> CellResult:
        row = RowBuilder(job).failed("error", "no")
        clocks = {"started_at": row.started_at, "wall_seconds": row.wall_seconds}
        return row if job.cell.seed == 2 else cells(job, on_event).model_copy(update=clocks)

    monkeypatch.setattr(sweep, "run_in_process", run)
    for module in (protocol, folders, grid, params):
        monkeypatch.setattr(module, "datetime", Backwards)
    assert command("--out", tmp_path, "--methods", "backprop,noprop", "--seeds", "0,1,2").code == 1
    (made,) = tmp_path.iterdir()
    assert command("--resume", made).code == 1
    rows = read_cells(made)
    assert len(rows) == 6
    assert sorted(row.started_at for row in rows)[-1] < read_run(made).created_at
    assert all(0 <= row.wall_seconds < 60 for row in rows)
    assert "cannot be told" in report_page(arrange(read_run(made), rows))


def test_a_cell_that_failed_is_tried_again_before_the_next_and_its_row_says_so(
    command: Command, cells: FakeCells, moody: dict[str, int], tmp_path: Path
) -> None:
    moody["backprop-plain"] = 2
    ended = command("--out", tmp_path, *METHODS, "--retries", "2")
    assert ended.code == 0
    (run,) = tmp_path.iterdir()
    assert [key[1] for key in cells.started] == ["backprop-plain"] * 3 + ["backprop[T=1]"]
    assert {row.method: (row.status, row.attempt) for row in read_cells(run)} == {
        "backprop-plain": ("ok", 3),
        "backprop[T=1]": ("ok", 1),
    }
    assert len((run / CELLS_FILE).read_text().splitlines()) == 4  # failures stay on record
    assert any("trying again, attempt 2 of 3" in line for line in ended.lines)
    assert ended.lines[-1].startswith("[2/2]")


def test_a_cell_that_fails_each_time_fails(
    command: Command, cells: FakeCells, moody: dict[str, int], tmp_path: Path
) -> None:
    moody["backprop-plain"] = 5
    ended = command("--out", tmp_path, *METHODS, "--retries", "1")
    assert ended.code == 1
    assert [key[1] for key in cells.started] == ["backprop-plain"] * 2 + ["backprop[T=1]"]


def test_without_retries_there_is_one_attempt(
    command: Command, cells: FakeCells, moody: dict[str, int], tmp_path: Path
) -> None:
    moody["backprop-plain"] = 1
    assert command("--out", tmp_path, *METHODS).code == 1
    assert len(cells.started) == 2


def test_the_time_limit_reaches_the_cells_and_the_record(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    command("--out", tmp_path, *METHODS, "--timeout", "2.5", "--retries", "3")
    (run,) = tmp_path.iterdir()
    assert {job.timeout_seconds for job in cells.jobs} == {2.5}
    assert (read_run(run).timeout_seconds, read_run(run).retries) == (2.5, 3)


@pytest.mark.parametrize(
    "given", [("--timeout", "0"), ("--timeout", "soon"), ("--retries", "-1"), ("--retries", "1.5")]
)
def test_what_is_no_limit_is_refused(
    command: Command, cells: FakeCells, tmp_path: Path, given: tuple[str, str]
) -> None:
    ended = command("--out", tmp_path / "out", *METHODS, *given)
    assert ended.code == 2
    assert given[1] in ended.err
    assert not (tmp_path / "out").exists()


def test_two_processes_do_not_work_on_one_folder(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    command("--out", tmp_path, *METHODS)
    (run,) = tmp_path.iterdir()
    before = (run / CELLS_FILE).read_bytes()
    with run_lock(run):
        ended = command("--resume", run)
    assert ended.code == 2
    assert len(ended.lines) == 1
    assert "another process is working on" in ended.err
    assert (run / CELLS_FILE).read_bytes() == before
    assert command("--resume", run).code == 0


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_stands_in_for_a_lock_where_the_file_system_has_none(
    answer: int, command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert command("--out", tmp_path, *METHODS).code == 0
    (run,) = tmp_path.iterdir()
    with run_lock(run):
        ended = command("--resume", run)
    assert ended.code == 2
    assert "another process is working on" in ended.err
    assert command("--resume", run).code == 0
    assert list(run.glob(".lock*")) == []


def test_a_new_run_that_cannot_be_locked_leaves_nothing(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    ended = command("--out", tmp_path, *METHODS)
    assert ended.code == 2
    assert len(ended.lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_an_odd_machine(tmp_path: Path) -> None:
    """No home, no cache, no UTF-8, no standard input, 64 file descriptors, and blanks in the folder for scratch files.

    And packages of the user's own are not taken for ours or for libraries, neither by the command nor by a cell's
    process, which has the same working directory.
    """
    for name in ("methods", "results", "reports", "torch", "json", "random"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    words = ["--methods", "backprop-plain", "--seeds", "0", "--train-size", "20", "--epochs", "1", "--threads", "1"]
    scratch = tmp_path / "for scratch (files)"
    scratch.mkdir()
    odd = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/proc/nowhere")
    odd |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": str(scratch)}
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -n 64; exec "$0" "$@" <&-', sys.executable, "-m", "bench.run", *words, "--out", "runs"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | odd,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Matplotlib" not in ended.stderr
    assert len(list(tmp_path.glob("runs/*/report.md"))) == 1


def test_a_cell_runs_where_there_is_no_folder_for_scratch_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*arguments: Any, **options: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    with isolation._scratch() as errors:
        assert errors is None


def test_a_report_is_built_beside_packages_of_the_users_own(tmp_path: Path) -> None:
    for name in ("methods", "results", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    ended = subprocess.run(
        [sys.executable, "-m", "reports.build", "nowhere"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (2, "error: nowhere is not a run: it has no run.json\n")


def test_a_worker_is_ours_beside_a_package_bench_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "bench.py").write_text("raise RuntimeError('the wrong one')")
    ended = subprocess.run(
        python("bench.runner.folders"),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
