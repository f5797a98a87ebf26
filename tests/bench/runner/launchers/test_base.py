"""What a run and a launcher owe each other: results kept until rows are, ends that are ends, machines that fit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bench.children.protocol import Event, Job
from bench.errors import UserError
from bench.runner import sweep
from bench.runner.launchers import node, slurm
from bench.runner.launchers.base import Launcher
from bench.runner.launchers.placement import Placement
from bench.runner.launchers.ray import RayLauncher
from bench.runner.prepare import Run
from bench.runner.progress import LineDisplay
from results.schema import CellResult, LauncherName, PlannedCell
from results.store import ResultsError, append_cell, read_cells, read_run
from tests.bench.harness import needs
from tests.factories import make_cell, make_config, make_environment, make_run, write_run


class Engine(Launcher):
    """Runs nothing; sees how many rows there are when it is told that one is kept."""

    name: ClassVar[LauncherName] = "slurm"

    def __init__(self, run: Path) -> None:
        self._run = run
        self.rows_then: list[int] = []
        self.fails: BaseException | None = None
        self.ended = 0

    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        if self.fails is not None:
            raise self.fails
        cell = job.cell
        return make_cell(cell.method, cell.dataset, cell.seed, config=cell.config, run_id=job.run_id)

    def recorded(self, job: Job) -> None:
        self.rows_then.append(len(read_cells(self._run)))

    def cancel_all(self) -> None:
        self.ended += 1


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [], make_run([make_cell(seed=seed) for seed in range(2)], launcher="slurm"))


def conduct(
    run: Path, engine: Engine, keep: Callable[[Path, CellResult], None] = append_cell, jobs: int = 1
) -> list[CellResult]:
    record = read_run(run)
    return sweep.run_cells(
        [[cell] for cell in record.cells],
        partial(keep, run),
        LineDisplay(len(record.cells), 0),
        jobs=jobs,
        launcher=engine,
        run_id=record.run_id,
        data_dir=None,
    )


def test_a_launcher_is_told_of_a_row_when_that_is_on_disk(run: Path) -> None:
    engine = Engine(run)
    assert len(conduct(run, engine)) == 2
    assert engine.rows_then == [1, 2]


def test_a_row_that_cannot_be_written_is_not_kept(run: Path) -> None:
    def full(folder: Path, row: CellResult) -> None:
        raise ResultsError("no space left")

    engine = Engine(run)
    with pytest.raises(ResultsError):
        conduct(run, engine, full)
    assert engine.rows_then == []


def test_stopping_ends_what_the_launcher_runs_and_what_runs_here(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker is a process of this machine, whatever runs the cells."""
    here = threading.Event()
    monkeypatch.setattr(sweep, "kill_all", here.set)
    monkeypatch.setattr(Engine, "run", lambda *_: here.wait(20))
    calls: list[object] = []

    def interrupted(running: object, **how: Any) -> object:
        calls.append(running)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wait(running, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(sweep, "wait", interrupted)
    engine = Engine(run)
    with pytest.raises(KeyboardInterrupt):
        conduct(run, engine)
    assert here.is_set()
    assert engine.ended > 0


def test_stopping_while_cells_are_still_being_sent_ends_those_that_were(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, sent = threading.Event(), []
    submit = sweep.ThreadPoolExecutor.submit

    def interrupted_at_the_second(pool: object, function: object, *given: object) -> object:
        if sent:
            raise KeyboardInterrupt
        sent.append(given)
        return submit(pool, function, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep.ThreadPoolExecutor, "submit", interrupted_at_the_second)
    monkeypatch.setattr(sweep, "kill_all", here.set)
    monkeypatch.setattr(Engine, "run", lambda *_: here.wait(20))
    engine = Engine(run)
    with pytest.raises(KeyboardInterrupt):
        conduct(run, engine, jobs=2)
    assert here.is_set()
    assert engine.ended > 0


def a_run(folder: Path, options: dict[str, str]) -> Run:
    record = make_run([make_cell()])
    placement = Placement("slurm", options)
    return Run(folder=folder, record=record, cells=record.cells, is_new=True, data_dir=None, placement=placement)


def a_job(tmp_path: Path, state: str, *, done: bool, result: bool = False) -> SimpleNamespace:
    """As submitit shows one."""
    file = tmp_path / "1_0_result.pkl"
    if result:
        file.touch()
    return SimpleNamespace(done=lambda force_check: done, state=state, paths=SimpleNamespace(result_pickle=file))


@pytest.mark.parametrize(
    ("state", "done", "end"),
    [
        ("RUNNING", False, ""),
        ("PREEMPTED", False, "PREEMPTED"),  # sent with no_requeue, it does not come back
        ("SUSPENDED", True, ""),
        ("CANCELLED by 0", True, "CANCELLED BY 0"),
        ("COMPLETED", True, "COMPLETED"),
    ],
)
def test_which_states_of_a_job_are_ends(tmp_path: Path, state: str, done: bool, end: str) -> None:
    assert slurm._end_of(a_job(tmp_path, state, done=done)) == end


@pytest.mark.parametrize("state", ["RUNNING", "SUSPENDED", "PREEMPTED", "FAILED"])
def test_a_job_with_a_result_has_ended_whatever_its_state(tmp_path: Path, state: str) -> None:
    assert slurm._end_of(a_job(tmp_path, state, done=True, result=True)) == slurm._RESULT


@needs("submitit")
def test_a_disk_that_fails_for_a_moment_is_looked_at_again(tmp_path: Path) -> None:
    def stale(force_check: bool) -> bool:
        raise OSError(116, "Stale file handle")

    launcher = slurm.SlurmLauncher(a_run(tmp_path, {"cluster": "local"}))
    job = a_job(tmp_path, "RUNNING", done=True)
    job.done = stale
    assert launcher._end_of(job) == ""


@needs("submitit")
def test_a_result_that_is_a_row_already_is_forgotten_and_any_other_is_taken_over(tmp_path: Path) -> None:
    """A launching process may be ended between writing a row and letting go of the job's files."""
    from submitit.core import utils

    rows = [make_cell(seed=seed) for seed in range(2)]
    record = make_run(rows)
    run = Run(
        folder=write_run(tmp_path / "run", rows[:1], record),
        record=record,
        cells=record.cells,
        is_new=False,
        data_dir=None,
        placement=Placement("slurm", {"cluster": "local"}),
    )
    launcher = slurm.SlurmLauncher(run)
    launcher._folder.mkdir()
    for number, (cell, row) in enumerate(zip(record.cells, rows, strict=True), 101):
        job = Job(run_id=record.run_id, cell=cell, data_dir=None, environment=make_environment())
        paths = utils.JobPaths(launcher._folder, str(number))
        utils.DelayedSubmission(slurm.run_as_job, job.model_dump_json()).dump(paths.submitted_pickle)
        utils.cloudpickle_dump(("success", row.model_dump_json()), paths.result_pickle)
    assert [PlannedCell.model_validate_json(cell).seed for cell in launcher._left_behind()] == [1]
    assert sorted(path.name for path in launcher._folder.iterdir()) == ["102_0_result.pkl", "102_submitted.pkl"]


def test_a_job_that_is_told_to_end_leaves_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(job: Job, on_event: object) -> CellResult:
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(20)
        raise AssertionError

    monkeypatch.setattr(node, "run_in_process", endless)
    before = signal.getsignal(signal.SIGUSR2)
    cell = make_run([make_cell()]).cells[0]
    job = Job(run_id="x", cell=cell, data_dir=None, environment=make_environment())
    try:
        row = CellResult.model_validate_json(slurm.run_as_job(job.model_dump_json()))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert row.key == cell.key
    assert row.status == "killed"
    assert "limit of time" in (row.error or "")
    assert row.node is not None


HEAD, CARDS = {"CPU": 64.0}, {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("device", "threads", "said"),
    [
        ("cpu", 64, None),
        ("cuda", 16, None),
        ("cpu", 65, "no machine of the Ray cluster has more than 64"),
        ("cuda", 17, "no machine of the Ray cluster with a card has more than 16"),
    ],
)
def test_one_machine_of_ray_s_has_all_that_a_cell_needs(device: str, threads: int, said: str | None) -> None:
    launcher = RayLauncher.__new__(RayLauncher)
    launcher._cells = make_run([make_cell(config=make_config(device=device, threads=threads))]).cells
    machines = [{"Resources": each, "Alive": True} for each in (HEAD, CARDS)]
    launcher._ray = SimpleNamespace(nodes=lambda: machines)
    if said is None:
        launcher._check()
        return
    with pytest.raises(UserError, match=said):
        launcher._check()


def test_going_on_needs_to_be_told_what_the_record_does_not_say() -> None:
    record = make_run([make_cell()], jobs=24, launcher="slurm", launcher_options={"partition": "a", "mem": "1G"})
    options = {"partition": "a", "mem": "1G"}
    assert Placement("slurm", options, 24).resume_flags(record) == []
    assert Placement("local", {}, 1).resume_flags(record) == ["--launcher", "local"]
    changed = Placement("slurm", options | {"partition": "b"}, 3)
    assert changed.resume_flags(record) == ["--launcher-set", "partition=b", "--jobs", "3"]
    assert Placement("ray", {"address": "x"}, 1024).resume_flags(record) == [
        "--launcher",
        "ray",
        "--launcher-set",
        "address=x",
    ]
