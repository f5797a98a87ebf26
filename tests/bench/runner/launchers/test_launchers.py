"""One sweep here, as processes of submitit's local executor and as tasks of Ray: the same rows, each cell once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from results.schema import CellResult
from results.store import CELLS_FILE, decode, read_cells
from tests.bench.fake_slurm import FakeSlurm
from tests.bench.harness import PROCESSES, SMALL, TASKS, Plugin, finish, needs, wait_until

SEEDS = 2
SWEEP = ("--methods", "steady,moody", "--datasets", "halves", "--seeds", ",".join(map(str, range(SEEDS))))
TWO = ("--methods", "waits,steady", "--datasets", "halves", "--seeds", "0")


def learned(row: CellResult) -> dict[str, Any]:
    """All of a row that does not hang on the machine or the moment."""
    epochs = [(epoch.train_loss, epoch.val_accuracy, epoch.test_accuracy) for epoch in row.epochs]
    machine = row.environment.model_copy(update={"commit": None})  # which may change while the tests run
    same = ("status", "test_accuracy", "config", "data", "parameters", "activation_bytes")
    return {name: getattr(row, name) for name in same} | {"epochs": epochs, "machine": machine}


def lines_of(run: Path) -> list[CellResult]:
    """Every row ever written, in order."""
    return [decode(line) for line in (run / CELLS_FILE).read_bytes().splitlines()]


@pytest.fixture(scope="module")
def here(plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], CellResult]:
    """The rows of the sweep by this machine itself."""
    out = tmp_path_factory.mktemp("local")
    assert finish(plugin.start("--out", out, *SWEEP, *SMALL, "--jobs", "2"), timeout=1000).code == 0
    (run,) = out.iterdir()
    return {row.key: row for row in lines_of(run)}


def kill_a_node(plugin: Plugin, run: Path) -> None:
    """When the first row is there, kill what runs a cell on its node, while the cell imports its libraries."""

    nodes: list[psutil.Process | None] = []

    def begins() -> bool:
        for process in plugin.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                if "bench.runner.worker" in process.cmdline() and time.time() - process.create_time() < 1.5:
                    nodes.append(process.parent())
        return bool(nodes)

    assert wait_until(lambda: (run / CELLS_FILE).exists() and bool(lines_of(run)), 120)
    assert wait_until(begins, 60)
    assert nodes[0] is not None
    nodes[0].kill()


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(PROCESSES, marks=needs("submitit"), id="submitit"),
        pytest.param(TASKS, marks=needs("ray"), id="ray"),
    ],
)
def test_the_rows_are_those_of_this_machine_also_after_a_worker_was_killed(
    plugin: Plugin, tmp_path: Path, here: dict[tuple[str, str, int], CellResult], launcher: tuple[str, ...]
) -> None:
    process = plugin.start("--out", tmp_path, *SWEEP, *SMALL, "--jobs", "2", "--retries", "1", *launcher)
    assert wait_until(lambda: any(tmp_path.iterdir()), 60)
    (run,) = tmp_path.iterdir()
    kill_a_node(plugin, run)
    ended = finish(process, timeout=1000)
    assert ended.code == 0, ended.err

    killed, *others = sorted(lines_of(run), key=lambda row: row.status != "killed")
    assert killed.status == "killed"
    assert sorted(row.key for row in others) == sorted(here)
    assert {row.key: learned(row) for row in others} == {key: learned(row) for key, row in here.items()}
    assert [row.key for row in others if row.attempt == 2] == [killed.key]
    assert {row.launcher for row in others} == {launcher[1]}
    assert None not in {row.node for row in others}
    assert wait_until(lambda: plugin.processes() == [], 30), [process.cmdline() for process in plugin.processes()]
    assert "times are not those of a cell that has a machine to itself" in ended.out


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a launching process; what it has started may live on, and hold its pipes open."""
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


@dataclass(frozen=True)
class Halves:
    """Runs of two cells, one of which hangs until it is released."""

    plugin: Plugin
    out: Path

    @property
    def run(self) -> Path:
        (run,) = self.out.iterdir()
        return run

    @property
    def waiting(self) -> int | None:
        """The process of the cell that hung last."""
        flag = self.plugin.flags / "waiting"
        return int(flag.read_text()) if flag.exists() else None

    def hold(self) -> None:
        (self.plugin.flags / "hold").touch()

    def release(self) -> None:
        (self.plugin.flags / "hold").unlink()

    def start(self, launcher: tuple[str, ...]) -> subprocess.Popen[str]:
        """Start one, and come back when one of the cells has ended and the other hangs."""
        self.hold()
        process = self._wait("--out", self.out, *TWO, *SMALL, "--jobs", "2", *launcher)
        assert wait_until(lambda: len(read_cells(self.run)) == 1, 100)
        return process

    def resume(self) -> subprocess.Popen[str]:
        """Go on with it, and come back when the other cell has been started again and hangs."""
        return self._wait("--resume", self.run)

    def _wait(self, *arguments: str | Path) -> subprocess.Popen[str]:
        before = self.waiting
        process = self.plugin.start(*arguments, new_session=True)
        assert wait_until(lambda: self.waiting not in (before, None), 100)
        return process

    def assert_stopped(self, process: subprocess.Popen[str], number: signal.Signals, code: int) -> None:
        """It ends at the signal with all that it has started, and keeps the finished cell."""
        process.send_signal(number)
        ended = finish(process, timeout=60)
        assert ended.code == code
        assert "stopped: 1 of 2 cells are finished and kept" in ended.lines[-1]
        assert "Traceback" not in ended.err
        self.assert_nothing_left()
        assert [(row.method, row.status) for row in lines_of(self.run)] == [("steady", "ok")]

    def assert_nothing_left(self) -> None:
        left = self.plugin.processes
        assert wait_until(lambda: left() == [], 30), [process.cmdline() for process in left()]

    def assert_done(self, launcher: str) -> None:
        """Each cell was done once."""
        rows = [(row.method, row.status, row.launcher) for row in lines_of(self.run)]
        assert rows == [("steady", "ok", launcher), ("waits", "ok", launcher)]
        self.assert_nothing_left()


@pytest.fixture
def halves(plugin: Plugin, tmp_path: Path) -> Iterator[Halves]:
    # Where the tests themselves run with SIGINT ignored, as background jobs of a script do, so would the command.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Halves(plugin, tmp_path / "out")
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("launcher", "number", "code"),
    [
        pytest.param(PROCESSES, signal.SIGINT, 130, marks=needs("submitit"), id="submitit"),
        pytest.param(TASKS, signal.SIGTERM, 143, marks=needs("ray"), id="ray"),
    ],
)
def test_a_run_that_was_stopped_and_killed_goes_on_and_loses_and_doubles_no_cell(
    halves: Halves, launcher: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    halves.assert_stopped(halves.start(launcher), number, code)
    process = halves.resume()
    left = halves.waiting
    assert left is not None
    kill(process)
    process = halves.resume()
    assert wait_until(lambda: not psutil.pid_exists(left), 60), "what was left running was not ended"
    if launcher == PROCESSES:  # whose result is taken that comes after its launching process was killed
        kill(process)
        halves.release()
        assert wait_until(lambda: len(list(halves.run.glob("slurm-local/*_result.pkl"))) == 1, 60)
        halves.hold()  # in which the cell would hang, if it were run again
        process = halves.plugin.start("--resume", halves.run)
    else:
        halves.release()
    ended = finish(process)
    assert ended.code == 0, ended.err
    halves.assert_done(launcher[1])
    assert list(halves.run.glob("slurm-local/*.pkl")) == []


ASKED = ("--launcher", "slurm", "--launcher-set", "partition=tiny", "--launcher-set", "mem=2G", "--timeout", "300")


@needs("submitit")
def test_slurm_is_asked_for_what_a_cell_needs_and_its_jobs_are_cancelled_or_outlive_the_launching_process(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's commands are stand-ins that start a job at once; what submitit and we make of them is real."""
    slurm = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", slurm.path)
    process = halves.start(ASKED)
    waits, _ = sorted(slurm.scripts(), key=lambda text: "waits" not in text)
    asked = {"partition=tiny", "mem=2G", "cpus-per-task=1", "time=15", "no-requeue", "job-name='halves waits seed 0'"}
    assert asked <= {line.removeprefix("#SBATCH --") for line in waits.splitlines()}
    assert "gpus" not in waits
    halves.assert_stopped(process, signal.SIGTERM, 143)
    assert slurm.states() == ["CANCELLED", "COMPLETED"]
    kill(halves.resume())
    slurm.looked.unlink(missing_ok=True)
    process = halves.plugin.start("--resume", halves.run)
    assert wait_until(slurm.looked.exists, 60)
    halves.release()
    ended = finish(process)
    assert ended.code == 0, ended.err
    assert len(slurm.scripts()) == 3  # the job that was running was waited for, and no other sent
    halves.assert_done("slurm")
