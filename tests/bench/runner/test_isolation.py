"""Following a cell's process: shell scripts that stand in for the worker, each ending in another way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.children.protocol import EpochEvent, Event, Job, ResultEvent
from bench.runner.isolation import run_in_process
from results.schema import CellResult
from tests.bench.harness import is_alive, wait_until
from tests.factories import make_cell, make_environment, make_run

CELL = make_cell()
JOB = Job(run_id=CELL.run_id, cell=make_run([CELL]).cells[0], data_dir=None, environment=make_environment())
EPOCH = EpochEvent(epoch=1, loss=0.5, val_accuracy=0.9)

Run = Callable[..., CellResult]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script as the worker. In it, `$result` and `$epoch` are files that hold such an event's line."""
    (tmp_path / "result").write_text(ResultEvent(result=CELL).model_dump_json() + "\n")
    (tmp_path / "epoch").write_text(EPOCH.model_dump_json() + "\n")
    monkeypatch.chdir(tmp_path)

    def call(
        script: str, on_event: Callable[[Event], None] = lambda event: None, timeout: float | None = None
    ) -> CellResult:
        worker = tmp_path / "worker"
        worker.write_text(f"#!/bin/sh\nresult={tmp_path}/result epoch={tmp_path}/epoch\n{script}\n")
        worker.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(worker))
        return run_in_process(JOB.model_copy(update={"timeout_seconds": timeout}), on_event)

    return call


def is_gone(pid_file: Path) -> bool:
    return wait_until(lambda: not is_alive(int(pid_file.read_text())), 2)


def test_a_result(run: Run) -> None:
    events: list[Event] = []
    result = run("read job; sleep 0.2; cat $epoch $epoch $result", events.append)
    assert events == [EPOCH, EPOCH]
    assert result.wall_seconds >= 0.2
    assert result.model_copy(update={"wall_seconds": CELL.wall_seconds}) == CELL


def test_the_energy_of_a_cell_that_was_interrupted_is_not_known(run: Run, tmp_path: Path) -> None:
    cell = make_cell(cpu_joules=3.0, gpu_joules=4.0, gpu_joules_source="counter")
    for earlier, known in ([], True), (["a"], False):
        line = ResultEvent(result=cell.model_copy(update={"earlier_machines": earlier})).model_dump_json()
        (tmp_path / "result").write_text(line + "\n")
        row = run("read job; cat $result")
        assert [each is not None for each in (row.cpu_joules, row.gpu_joules, row.gpu_joules_source)] == [known] * 3


def test_gets_its_job_its_threads_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run("read job; echo $OMP_NUM_THREADS $MKL_NUM_THREADS $@ > told; echo $job > job; cat $result")
    told = (tmp_path / "told").read_text().split()
    assert told[:3] == ["2", "2", "-P"]
    assert told[-1] == "bench.runner.worker"
    assert Job.model_validate_json((tmp_path / "job").read_text()) == JOB


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ("read job; exit 3", "error", "the cell's process ended with exit code 3 and no result"),
        ("exit 0", "error", "the cell's process ended with exit code 0 and no result"),
        ("read job; kill -9 $$", "killed", "the cell's process was killed by SIGKILL (out of memory?)"),
        ("read job; kill -11 $$", "killed", "the cell's process was killed by SIGSEGV"),
        ("read job; kill -40 $$", "killed", "the cell's process was killed by signal 40"),
        ("read job; head -c 100 $result; kill -9 $$", "killed", "the cell's process was killed by SIGKILL"),
        ("read job; echo no event; echo '{}'; exit 1", "error", "exit code 1"),
    ],
)
def test_no_result(run: Run, script: str, status: str, error: str) -> None:
    result = run(f"echo a last word >&2; {script}")
    assert result.status == status
    assert error in (result.error or "")
    assert result.traceback == "a last word\n"
    assert (result.key, result.config, result.run_id) == (CELL.key, JOB.cell.config, JOB.run_id)
    assert result.test_accuracy is None


def test_the_row_of_a_failed_cell_says_when_it_started(run: Run) -> None:
    before = datetime.now(UTC)
    result = run("read job; sleep 2.1; exit 3")
    assert datetime.fromisoformat(result.started_at) <= before + timedelta(seconds=1)
    assert result.wall_seconds >= 2.1


def test_only_the_end_of_a_long_complaint_is_kept(run: Run) -> None:
    result = run("yes 0123456789 | head -n 100000 >&2; echo the end >&2; exit 1")
    assert result.traceback is not None
    assert len(result.traceback) == 4000
    assert result.traceback.endswith("the end\n")


def test_a_process_that_will_not_end_is_ended(run: Run, tmp_path: Path) -> None:
    start = time.monotonic()
    assert run("read job; echo $$ > pid; cat $result; sleep 60").status == "ok"
    assert time.monotonic() - start < 5
    assert is_gone(tmp_path / "pid")


@pytest.mark.parametrize(("end", "status"), [("cat $result", "ok"), ("kill -9 $$", "killed"), ("exit 1", "error")])
def test_nothing_is_left_and_nothing_waited_for(run: Run, tmp_path: Path, end: str, status: str) -> None:
    """The child holds the worker's standard output, as a forked one does."""
    start = time.monotonic()
    result = run(f"read job; sleep 60 & echo $! > pid; {end}")
    assert time.monotonic() - start < 5
    assert result.status == status
    assert is_gone(tmp_path / "pid")


def test_stopped_while_it_works(run: Run, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("read job; sleep 60 & echo $! > pid; cat $epoch; wait", stop)
    assert is_gone(tmp_path / "pid")


def test_stopped_while_it_ends(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the moment of grace after the result."""
    wait = subprocess.Popen.wait

    def stopped(self: subprocess.Popen[str], timeout: float | None = None) -> int:
        if timeout is not None:
            raise KeyboardInterrupt
        return int(wait(self))

    monkeypatch.setattr(subprocess.Popen, "wait", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("read job; echo $$ > pid; cat $result; sleep 60")
    assert is_gone(tmp_path / "pid")


def test_process_is_out_of_reach_of_ctrl_c(run: Run, tmp_path: Path) -> None:
    """It is in a session of its own: the terminal's signal goes to the harness alone, which decides."""
    groups: list[int] = []

    def note(event: Event) -> None:
        pid = int((tmp_path / "pid").read_text())
        groups.append(os.getpgid(pid))
        os.kill(pid, signal.SIGTERM)

    assert run("read job; echo $$ > pid; cat $epoch; sleep 60", note).status == "killed"
    assert groups != [os.getpgid(0)]


def test_a_cell_that_hangs_is_ended_when_its_time_is_up_with_all_that_it_started(run: Run, tmp_path: Path) -> None:
    start = time.monotonic()
    result = run("read job; cat $epoch; sleep 60 & echo $! > child; sleep 60", timeout=0.5)
    assert time.monotonic() - start < 10
    assert result.status == "killed"
    assert result.error == "the cell took longer than the 0.5 s that --timeout allows, and was ended"
    assert is_gone(tmp_path / "child")


def test_a_cell_within_its_time_does_not_notice(run: Run) -> None:
    assert run("read job; cat $result", timeout=60.0).status == "ok"
    assert run("read job; exit 3", timeout=60.0).error == "the cell's process ended with exit code 3 and no result"
