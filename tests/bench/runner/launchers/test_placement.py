"""`--launcher` and what goes with it: what is refused before anything starts, and what a resumed run may change."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.children.protocol import Event, Job, PhaseEvent, WarningEvent
from bench.errors import UserError
from bench.meters import environment
from bench.planning.plan import resolve_device
from bench.runner.launchers import node
from bench.runner.launchers.placement import Placement, choose_placement, resume_placement
from results.schema import CellResult
from results.store import read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fake_slurm import FakeSlurm
from tests.bench.fakes import FakeCells
from tests.bench.harness import SMALL, needs, refused
from tests.factories import make_cell, make_config, make_environment, make_failed_cell, make_run, write_run

METHODS = ("--methods", "backprop-plain", "--seeds", "0", "--train-size", "60", *SMALL)
REFUSED = [
    (("--launcher", "cloud"), ("'cloud'", "local", "slurm", "ray")),
    (("--launcher-set", "partition=x"), ("partition", "--launcher local")),
    (("--launcher", "slurm", "--launcher-set", "partitions=x"), ("'partitions'", "'partition'", "account")),
    (("--launcher", "slurm", "--launcher-set", "cluster=moon"), ("cluster='moon'", "slurm, local")),
    (("--launcher", "slurm", "--launcher-set", "time=0"), ("time=0", "at least 1")),
    (("--launcher", "slurm", "--launcher-set", "time"), ("'time'", "NAME=VALUE", "partition=gpu")),
    (("--launcher", "slurm"), ("limit of time", "time=MINUTES", "--timeout")),
    (("--launcher", "slurm", "--device", "cuda:1"), ("'cuda:1'", "cuda, cpu or auto")),
    (("--launcher", "ray", "--launcher-set", "adress=x"), ("'adress'", "'address'")),
    (("--launcher", "ray", "--parallel", "blocks"), ("--launcher ray", "--parallel blocks")),
]


@pytest.mark.parametrize(("given", "quoted"), REFUSED)
def test_what_is_refused(
    command: Command, cells: FakeCells, tmp_path: Path, given: tuple[str, ...], quoted: tuple[str, ...]
) -> None:
    refused(command("--out", tmp_path / "out", *METHODS, *given), *quoted)
    assert not (tmp_path / "out").exists()


@needs("submitit")
def test_slurm_needs_its_commands(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(
        command("--out", tmp_path / "out", *METHODS, "--launcher", "slurm", "--timeout", "9"), "sbatch", "cluster=local"
    )
    assert not (tmp_path / "out").exists()


@needs("submitit")
def test_what_slurm_refuses_is_in_the_row(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(tmp_path / "slurm")
    slurm.refuse("invalid partition specified: moon")
    monkeypatch.setenv("PATH", slurm.path)
    ended = command("--out", tmp_path / "out", *METHODS, "--launcher", "slurm", "--timeout", "9")
    assert ended.code == 1
    (run,) = (tmp_path / "out").iterdir()
    (row,) = read_cells(run)
    assert row.status == "error"
    assert "could not be sent to Slurm" in (row.error or "")
    assert "invalid partition specified: moon" in (row.error or "")


@pytest.mark.parametrize(("launcher", "module"), [("slurm", "submitit"), ("ray", "ray")])
def test_an_engine_that_is_not_installed(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    ended = command("--out", tmp_path / "out", *METHODS, "--launcher", launcher, "--timeout", "9")
    refused(ended, f"pip install 'noprop-bench[{launcher}]'")
    assert not (tmp_path / "out").exists()


@needs("ray")
@pytest.mark.parametrize(
    ("threads", "address", "quoted"), [("1000", "local", "1000 CPUs"), ("1", "localhost:1", "localhost:1")]
)
def test_ray_that_cannot_run_the_cells(
    command: Command, cells: FakeCells, tmp_path: Path, threads: str, address: str, quoted: str
) -> None:
    words = list(METHODS)
    words[words.index("--threads") + 1] = threads
    ray = ("--launcher", "ray", "--launcher-set", f"address={address}")
    refused(command("--out", tmp_path / "out", *words, *ray), quoted)
    assert not (tmp_path / "out").exists()


def test_the_run_says_what_was_to_start_its_cells(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("--out", tmp_path / "here", *METHODS)
    (run,) = (tmp_path / "here").iterdir()
    record = read_run(run)
    assert (record.launcher, record.launcher_options, record.jobs) == ("local", {}, 1)


def test_one_at_a_time_here_and_all_at_once_elsewhere() -> None:
    assert choose_placement("local", {}, None) == Placement("local", {}, 1)
    assert choose_placement("local", {}, 3) == Placement("local", {}, 3)
    assert choose_placement("ray", {}, None).jobs >= 1000
    assert choose_placement("ray", {}, 4) == Placement("ray", {}, 4)


RECORDS = {
    "local": make_run([make_cell()], jobs=2),
    "slurm": make_run([make_cell()], jobs=24, launcher="slurm", launcher_options={"partition": "a", "mem": "1G"}),
}


@pytest.mark.parametrize(
    ("before", "launcher", "options", "jobs", "placement"),
    [
        ("local", None, {}, None, Placement("local", {}, 2)),
        ("local", "ray", {}, 5, Placement("ray", {}, 5)),
        ("slurm", None, {}, None, Placement("slurm", {"partition": "a", "mem": "1G"}, 24)),
        ("slurm", None, {"partition": "b"}, 3, Placement("slurm", {"partition": "b", "mem": "1G"}, 3)),
        ("slurm", "ray", {"address": "x"}, 3, Placement("ray", {"address": "x"}, 3)),
        ("slurm", "local", {}, None, Placement("local", {}, 1)),
    ],
)
def test_a_resumed_run_goes_on_as_before_or_elsewhere(
    before: str, launcher: str | None, options: dict[str, str], jobs: int | None, placement: Placement
) -> None:
    assert resume_placement(RECORDS[before], launcher, options, jobs) == placement  # type: ignore[arg-type]


def test_a_run_of_another_launcher_is_gone_on_with_here_one_cell_at_a_time(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    config = make_config(preset="quick", train_size=60, threads=1, options={}, optimizer="AdamW")
    rows = [make_cell("backprop-plain", "digits", seed, config=config) for seed in range(2)]
    failed = make_failed_cell("backprop-plain", "digits", 1, config=config)
    record = make_run(rows, jobs=24, launcher="slurm", launcher_options={"partition": "a"})
    run = write_run(tmp_path / "run", [rows[0], failed], record)
    refused(command("--resume", run, "--launcher", "local", "--jobs", "2"), "--jobs (the run has 1, given is 2)")
    assert command("--resume", run, "--launcher", "local").code == 0
    assert [key[2] for key in cells.started] == [1]


def test_stopped_it_says_how_to_go_on_as_it_was_told_this_time(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    config = make_config(preset="quick", train_size=60, threads=1, options={}, optimizer="AdamW")
    planned = [make_cell("backprop-plain", "digits", seed, config=config) for seed in range(2)]
    record = make_run(planned, jobs=24, launcher="slurm", launcher_options={"partition": "a"}, track="tensorboard")
    run = write_run(tmp_path / "run", [planned[0]], record)
    cells.stop = {"backprop-plain": KeyboardInterrupt()}
    ended = command("--resume", run, "--launcher", "local", "--track", "none")
    assert ended.code == 130
    assert ended.err.strip().endswith(f"--resume {run} --launcher local --track none")


def test_a_calibration_stays_on_its_machine() -> None:
    with pytest.raises(UserError, match="calibration"):
        resume_placement(make_run([make_cell()], purpose="calibration"), "slurm", {}, None)


@pytest.mark.parametrize(
    ("name", "device"), [("auto", "cpu"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0")]
)
def test_a_card_need_not_be_here_if_cells_run_elsewhere(name: str, device: str) -> None:
    assert resolve_device(name, is_remote=True) == device


def sent(monkeypatch: pytest.MonkeyPatch, **config: object) -> CellResult:
    """The row of a cell that a launcher has sent to this machine; its process only says for which machine it is."""
    monkeypatch.setattr(node, "run_in_process", lambda job, _: make_cell(environment=job.environment))
    cell = make_run([make_cell(config=make_config(**config))]).cells[0]
    job = Job(run_id="x", cell=cell, data_dir=None, environment=make_environment(cpu="of the launching machine"))
    return CellResult.model_validate(json.loads(node.run_on_node(job.model_dump_json())))


def test_warnings_of_a_cell_are_in_the_log_of_its_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warns(job: Job, on_event: Callable[[Event], None]) -> CellResult:
        on_event(PhaseEvent(phase="training"))
        on_event(WarningEvent(sentence="digits noprop seed 0 starts anew"))
        return make_cell()

    monkeypatch.setattr(node, "run_in_process", warns)
    cell = make_run([make_cell(config=make_config(device="cpu"))]).cells[0]
    node.run_on_node(Job(run_id="x", cell=cell, data_dir=None, environment=make_environment()).model_dump_json())
    assert capsys.readouterr().err == "warning: digits noprop seed 0 starts anew\n"


def test_a_row_has_the_machine_that_ran_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    row = sent(monkeypatch, device="cpu")
    assert row.environment == environment.describe_environment("cpu")
    assert row.node == platform.node()


def test_a_card_that_the_node_lacks_fails_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    row = sent(monkeypatch, device="cuda:0")
    assert row.status == "error"
    assert "no CUDA card here" in (row.error or "")
    assert row.node == platform.node()
