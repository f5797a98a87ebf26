"""One sweep here, as processes of submitit's local executor and as tasks of Ray: the same rows, each cell once."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from results.schema import CellResult
from results.store import CELLS_FILE, decode, read_cells, read_run
from tests.bench.fake_slurm import FakeSlurm
from tests.bench.harness import SMALL, Ended, Plugin, finish, wait_until

SEEDS = 4
SWEEP = ("--methods", "steady,moody", "--datasets", "halves", "--seeds", ",".join(map(str, range(SEEDS))))
TWO = ("--methods", "waits,steady", "--datasets", "halves", "--seeds", "0")
PROCESSES = ("--launcher", "slurm", "--launcher-set", "cluster=local")
TASKS = ("--launcher", "ray", "--launcher-set", "address=local")


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


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
    """When some rows are there, kill what runs a cell on its node; the cell has only begun to import its libraries."""

    nodes: list[psutil.Process | None] = []

    def begins() -> bool:
        workers = [process for process in plugin.processes() if "bench.runner.worker" in process.cmdline()]
        nodes.extend(worker.parent() for worker in workers if time.time() - worker.create_time() < 1)
        return bool(nodes)

    assert wait_until(lambda: (run / CELLS_FILE).exists() and len(lines_of(run)) >= 2, 120)
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


def half_way(plugin: Plugin, out: Path, launcher: tuple[str, ...]) -> tuple[subprocess.Popen[str], Path]:
    """Start a run of two cells, and come back when one of them has ended and the other hangs."""
    (plugin.flags / "waiting").unlink(missing_ok=True)
    (plugin.flags / "hold").touch()
    process = plugin.start("--out", out, *TWO, *SMALL, "--jobs", "2", *launcher, new_session=True)
    assert wait_until((plugin.flags / "waiting").exists, 100)
    (run,) = out.iterdir()
    assert wait_until(lambda: len(read_cells(run)) == 1, 100)
    return process, run


def killed(plugin: Plugin, out: Path, launcher: tuple[str, ...]) -> Path:
    """Such a run whose launching process was killed; what that has started may live on, and hold its pipes open."""
    process, run = half_way(plugin, out, launcher)
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    return run


def stopped(plugin: Plugin, out: Path, launcher: tuple[str, ...], number: signal.Signals) -> tuple[Ended, Path]:
    """Such a run that was stopped."""
    process, run = half_way(plugin, out, launcher)
    process.send_signal(number)
    return finish(process, timeout=60), run


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", made.path)
    return made


@pytest.fixture
def released(plugin: Plugin) -> Callable[[], None]:
    """Lets the method `waits` go on."""
    return (plugin.flags / "hold").unlink


@pytest.mark.parametrize(
    ("launcher", "number", "code"),
    [
        pytest.param(PROCESSES, signal.SIGINT, 130, marks=needs("submitit"), id="submitit"),
        pytest.param(TASKS, signal.SIGTERM, 143, marks=needs("ray"), id="ray"),
    ],
)
def test_stopping_ends_the_cells_and_keeps_the_finished_one_and_any_launcher_goes_on(
    plugin: Plugin,
    tmp_path: Path,
    released: Callable[[], None],
    launcher: tuple[str, ...],
    number: signal.Signals,
    code: int,
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else a test in the background passes it on, off
    try:
        ended, run = stopped(plugin, tmp_path, launcher, number)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.code == code
    assert "stopped: 1 of 2 cells are finished and kept" in ended.lines[-1]
    assert "Traceback" not in ended.err
    assert wait_until(lambda: plugin.processes() == [], 30), [process.cmdline() for process in plugin.processes()]
    assert [(row.method, row.status) for row in lines_of(run)] == [("steady", "ok")]
    released()
    assert plugin.run("--resume", run, "--launcher", "local").code == 0
    assert [(row.method, row.launcher) for row in lines_of(run)] == [("steady", launcher[1]), ("waits", "local")]


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(PROCESSES, marks=needs("submitit"), id="submitit"),
        pytest.param(TASKS, marks=needs("ray"), id="ray"),
    ],
)
def test_a_launching_process_that_was_killed_loses_and_doubles_no_cell(
    plugin: Plugin, tmp_path: Path, released: Callable[[], None], launcher: tuple[str, ...]
) -> None:
    """What it left running is ended, in one way or another, before its cell is run again."""
    run = killed(plugin, tmp_path, launcher)
    left = int((plugin.flags / "waiting").read_text())
    (plugin.flags / "waiting").unlink()
    process = plugin.start("--resume", run)
    assert wait_until(lambda: (plugin.flags / "waiting").exists() and not psutil.pid_exists(left), 60)
    released()
    assert finish(process).code == 0
    assert sorted(row.key for row in lines_of(run)) == sorted(cell.key for cell in read_run(run).cells)
    assert wait_until(lambda: plugin.processes() == [], 30), [process.cmdline() for process in plugin.processes()]


@needs("submitit")
def test_a_result_that_came_after_the_launching_process_was_killed_is_taken(
    plugin: Plugin, tmp_path: Path, released: Callable[[], None]
) -> None:
    run = killed(plugin, tmp_path, PROCESSES)
    released()
    assert wait_until(lambda: len(list(run.glob("slurm-local/*_result.pkl"))) == 1, 60)
    (plugin.flags / "hold").touch()  # in which the cell would hang, if it were run again
    assert plugin.run("--resume", run).code == 0
    released()
    assert [(row.method, row.status) for row in lines_of(run)] == [("steady", "ok"), ("waits", "ok")]
    assert list(run.glob("slurm-local/*.pkl")) == []


ASKED = ("--launcher", "slurm", "--launcher-set", "partition=tiny", "--launcher-set", "mem=2G", "--timeout", "300")


@needs("submitit")
def test_slurm_is_asked_for_what_a_cell_needs_and_its_jobs_outlive_the_launching_process(
    plugin: Plugin, tmp_path: Path, released: Callable[[], None], slurm: FakeSlurm
) -> None:
    """Slurm's commands are stand-ins that start a job at once; what submitit and we make of them is real."""
    run = killed(plugin, tmp_path / "out", ASKED)
    waits, _ = sorted(slurm.scripts(), key=lambda text: "waits" not in text)
    asked = {"partition=tiny", "mem=2G", "cpus-per-task=1", "time=15", "no-requeue", "job-name='halves waits seed 0'"}
    assert asked <= {line.removeprefix("#SBATCH --") for line in waits.splitlines()}
    assert "gpus" not in waits
    process = plugin.start("--resume", run)
    time.sleep(2)
    released()
    ended = finish(process)
    assert ended.code == 0, ended.err
    assert len(slurm.scripts()) == 2  # the job that was running was waited for, and no other sent
    assert [(row.method, row.status) for row in lines_of(run)] == [("steady", "ok"), ("waits", "ok")]


@needs("submitit")
def test_stopping_cancels_the_jobs_of_slurm(
    plugin: Plugin, tmp_path: Path, released: Callable[[], None], slurm: FakeSlurm
) -> None:
    ended, run = stopped(plugin, tmp_path / "out", ASKED, signal.SIGTERM)
    assert ended.code == 143
    assert slurm.states() == ["CANCELLED", "COMPLETED"]
    assert wait_until(lambda: plugin.processes() == [], 30), [process.cmdline() for process in plugin.processes()]
    assert [row.method for row in lines_of(run)] == ["steady"]
    released()
