"""Cells side by side (`--jobs`): every row once, and a failure costs no other cell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.children.protocol import Job
from bench.runner import sweep
from results.schema import CellResult
from results.store import read_cells, read_run
from tests.bench.fakes import FakeCells

METHODS = ("--methods", "noprop[T=1],backprop[T=1],backprop-plain", "--seeds", "0,1")


def test_every_cell_once_and_as_many_at_a_time_as_asked_for(  # type: ignore[no-untyped-def]
    command, cells: FakeCells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running: list[int] = []
    together = threading.Barrier(3, timeout=20)  # passes only if three cells are there at once
    lock = threading.Lock()

    def run(job: Job, on_event: Callable[[Any], None]) -> CellResult:
        with lock:
            running.append(1)
            most.append(len(running))
        together.wait()
        with lock:
            running.pop()
            return cells(job, on_event)

    most: list[int] = []
    monkeypatch.setattr(sweep, "run_in_process", run)
    ended = command("--out", tmp_path, *METHODS, "--jobs", "3")
    assert ended.code == 0
    (folder,) = tmp_path.iterdir()
    assert max(most) == 3
    assert sorted(row.key for row in read_cells(folder)) == sorted(cell.key for cell in read_run(folder).cells)
    assert read_run(folder).jobs == 3
    assert sorted(line[:5] for line in ended.lines) == [f"[{k}/6]" for k in range(1, 7)]


def test_what_is_exact_is_counted_by_the_first_seed_of_a_method_alone(  # type: ignore[no-untyped-def]
    command, cells: FakeCells, tmp_path: Path
) -> None:
    assert command("--out", tmp_path, *METHODS).code == 0
    counted = {(job.cell.method, job.cell.seed): job.probed for job in cells.jobs}
    assert len(counted) == 6
    for (method, seed), probed in counted.items():
        assert bool(probed) == (seed == 1), method
    assert counted["backprop[T=1]", 1]["activation_bytes"] != counted["noprop[T=1]", 1]["activation_bytes"]


def test_a_failed_cell_costs_no_other(command, cells: FakeCells, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    cells.failing = {"backprop[T=1]"}
    ended = command("--out", tmp_path, *METHODS, "--jobs", "2")
    assert ended.code == 1
    (folder,) = tmp_path.iterdir()
    rows = read_cells(folder)
    assert len(rows) == 6
    assert sorted(row.method for row in rows if row.status != "ok") == ["backprop[T=1]"] * 2


def test_threads_are_shared_among_the_cells(command, cells: FakeCells, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("bench.runner.prepare.available_cores", lambda: 8)
    command("--out", tmp_path, *METHODS, "--jobs", "3")
    assert {job.cell.config.threads for job in cells.jobs} == {2}


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_the_number_is_checked(command, cells: FakeCells, jobs: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended = command("--out", tmp_path, "--jobs", jobs)
    assert ended.code == 2
    assert jobs in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_keeps_it(command, cells: FakeCells, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    cells.failing = {"backprop-plain"}
    command("--out", tmp_path, *METHODS, "--jobs", "2")
    (folder,) = tmp_path.iterdir()
    refused = command("--resume", folder, "--jobs", "3")
    assert refused.code == 2
    assert "--jobs (the run has 2, given is 3)" in refused.err
    cells.failing = set()
    assert command("--resume", folder).code == 0
    assert len(read_cells(folder)) == 6
