"""The command line with cells that take no time: what it prints, writes and exits with."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

import methods
from bench.commandline.exit_codes import Terminated
from bench.commandline.params import new_folder
from bench.runner.time_taken import time_taken
from reports.formats.choice import Forms
from results.store import read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import PROJECT, refused
from tests.factories import make_cell, make_failed_cell

DOCUMENTED = [
    "--methods",
    "--datasets",
    "--seeds",
    "--epochs",
    "--batch-size",
    "--lr",
    "--weight-decay",
    "--train-size",
    "--device",
    "--threads",
    "--preset",
    "--jobs",
    "--launcher",
    "--launcher-set",
    "--data-dir",
    "--out",
    "--save",
    "--html",
    "--latex",
    "--resume",
    "--config",
    "--print-config",
    "--list",
]
METHODS = ("--methods", "noprop,backprop,backprop-plain", "--seeds", "3,4", "--set", "T=1")


def the_run(out: Path) -> Path:
    (run,) = out.iterdir()
    return run


def test_help_documents_every_flag(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    described = {line.split()[0]: line.split(maxsplit=2)[-1] for line in ended.out.splitlines() if "  --" in line}
    assert [flag for flag in DOCUMENTED if len(described.get(flag, "")) < 10] == []


def test_list_names_methods_and_data_sets(command: Command) -> None:
    ended = command("--list")
    assert ended.code == 0
    words = [line.split() for line in ended.out.splitlines() if line.startswith("  ")]
    names = [first for first, *_ in words]
    assert {first for first, second, *_ in words if second == "core"} == {
        name for name, method in methods.available().items() if method.core
    }
    assert {"noprop", "backprop", "backprop-plain", "digits", "mnist"} <= set(names)
    assert all(len(line.split()) > 3 for line in ended.out.splitlines() if line.startswith("  "))


def test_all_well(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    ended = command("--out", tmp_path / "out", *METHODS)
    assert ended.code == 0
    run = the_run(tmp_path / "out")
    planned = [cell.key for cell in read_run(run).cells]
    assert cells.started == planned
    assert [cell.key for cell in read_cells(run)] == planned
    assert ended.out.splitlines()[-1] == str(run / "report.md")
    assert ended.out.splitlines()[-2].startswith("took ")
    assert [line.split("]")[0] for line in ended.lines] == [f"[{number}/6" for number in range(1, 7)]


def test_the_last_line_but_one_says_where_the_time_went() -> None:
    times = {"wall_seconds": 33.0, "train_seconds": 1.5, "eval_seconds": 0.4}
    rows = [make_cell("noprop", **times), make_cell("noprop[sampler=mean]", **times, trained_with="noprop")]
    rows += [make_cell("backprop", **times), make_failed_cell(wall_seconds=4.0)]
    assert time_taken(113.0, rows, 70.3, 37.7) == (
        "took 1.9 min: cells 1.2 min (training 3.0 s, evaluation 0.8 s, processes, data and probes 1.0 min, "
        "failed 4.0 s), race 38 s, rest 5.0 s"
    )
    assert time_taken(40.0, rows, 36.0, None).startswith("took 40 s: cells 36 s (together training 3.0 s, ")
    assert "race" not in time_taken(40.0, rows, 36.0, None)


def test_run_is_named_after_what_is_in_it(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    command("--out", tmp_path / "out", "--methods", "backprop", "--preset", "paper")
    run = the_run(tmp_path / "out")
    record = read_run(run)
    assert record.run_id == run.name
    assert "-digits-paper-" in run.name
    assert shlex.split(record.command)[3:] == ["--methods", "backprop", "--preset", "paper"]


@pytest.mark.parametrize("given", [("--out", "{}"), ("--out={}",)])
def test_the_command_on_record_does_not_say_where_the_run_s_folder_was(
    command: Command, cells: FakeCells, tmp_path: Path, given: tuple[str, ...]
) -> None:
    words = [word.format(tmp_path / "out") for word in given]
    command("--methods", "backprop", *words, "--seeds", "0")
    record = read_run(the_run(tmp_path / "out"))
    assert record.command == "python -m bench.run --methods backprop --seeds 0"


def test_few_frames_from_the_command_to_a_cell_s_process(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most six functions of ours are on the stacks of the main thread and of the one that starts the process."""
    ours: list[str] = []
    popen = subprocess.Popen

    def start(words: list[str], **how: Any) -> object:
        if "bench.runner.worker" not in words:
            return popen(words, **how)
        main_thread = sys._current_frames()[threading.main_thread().ident or 0]
        for frame, _ in [*traceback.walk_stack(main_thread), *traceback.walk_stack(sys._getframe())]:
            if Path(frame.f_code.co_filename).is_relative_to(PROJECT / "bench"):
                ours.append(frame.f_code.co_name)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    assert command("--out", tmp_path, "--methods", "backprop", "--seeds", "0").code == 130
    assert {"main", "run_in_process"} <= set(ours)
    assert len(ours) <= 6, ours


def test_same_command_twice_makes_two_runs(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    for _ in range(2):
        assert command("--out", tmp_path / "out", "--methods", "backprop").code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_failed_cell(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.failing = {"noprop[T=1]"}
    ended = command("--out", tmp_path / "out", *METHODS)
    assert ended.code == 1
    assert len(cells.started) == 6
    run = the_run(tmp_path / "out")
    assert [cell.status for cell in read_cells(run)].count("error") == 2
    assert ended.out.splitlines()[-1] == str(run / "report.md")
    assert ended.lines[-2:] == [f"failed: digits noprop[T=1] seed {seed}: loss is not finite" for seed in (3, 4)]


def test_every_cell_fails(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.failing = {"backprop"}
    ended = command("--out", tmp_path / "out", "--methods", "backprop", "--seeds", "0,1")
    assert ended.code == 1
    run = the_run(tmp_path / "out")
    assert len(read_cells(run)) == 2
    assert not (run / "report.md").exists()
    assert sum(line.startswith("failed: digits backprop seed") for line in ended.lines) == 2
    assert str(run) in ended.err


def test_models_are_saved_only_if_asked_for(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    for number, flags in enumerate([(), ("--save",)]):
        out = tmp_path / str(number)
        assert command("--out", out, "--methods", "backprop", "--seeds", "0", *flags).code == 0
    assert [job.save_in for job in cells.jobs] == [None, str(the_run(tmp_path / "1"))]


def test_a_model_that_could_not_be_saved(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    """The result counts all the same; the exit code says that not all that was asked for is there."""
    cells.unsaved = {"backprop"}
    ended = command("--out", tmp_path / "out", "--save", "--methods", "backprop,backprop-plain", "--seeds", 3)
    assert ended.code == 1
    run = the_run(tmp_path / "out")
    assert [(cell.status, cell.model_file is None) for cell in read_cells(run)] == [("ok", True), ("ok", False)]
    assert ended.out.splitlines()[-1] == str(run / "report.md")
    assert ended.lines[-1] == "not saved: the model of digits backprop seed 3 (its result is kept)"


def test_a_failed_cell_has_no_model_to_miss(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.failing = {"backprop"}
    ended = command("--out", tmp_path / "out", "--save", "--methods", "backprop,backprop-plain", "--seeds", 3)
    assert ended.code == 1
    assert "not saved" not in ended.err


STOPS = [(KeyboardInterrupt(), 130), (Terminated(), 143)]


@pytest.mark.parametrize(("stop", "code"), STOPS, ids=["Ctrl-C", "SIGTERM"])
def test_stopped_in_a_cell(command: Command, cells: FakeCells, tmp_path: Path, stop: BaseException, code: int) -> None:
    cells.stop = {"backprop-plain": stop}
    ended = command("--out", tmp_path / "out with space", "--data-dir", tmp_path, *METHODS)
    assert ended.code == code
    assert ended.out == ""
    run = the_run(tmp_path / "out with space")
    assert len(read_cells(run)) == 2
    said, _, how = ended.lines[-1].partition("go on with: ")
    assert "2 of 6 cells are finished and kept" in said
    # The folder of the data too: the rest of the run must not silently take its data from elsewhere.
    assert shlex.split(how) == [
        *("python", "-m", "bench.run", "--resume", str(run)),
        *("--data-dir", str(tmp_path)),
    ]


@pytest.mark.parametrize("flags", [(), ("--html",), ("--latex",), ("--html", "--latex")])
def test_the_report_is_written_as_what_is_asked_for_when_the_run_goes_on_too(
    command: Command, cells: FakeCells, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    asked = Forms(html="--html" in flags, latex="--latex" in flags)
    cells.stop = {"backprop-plain": KeyboardInterrupt()}
    ended = command("--out", tmp_path / "out", *METHODS, *flags)
    assert cells.forms is None
    cells.stop = {}
    how = shlex.split(ended.lines[-1].partition("go on with: ")[2])
    assert command(*how[3:]).code == 0
    assert cells.forms == asked
    assert command("--out", tmp_path / "another", *METHODS, *flags).code == 0
    assert cells.forms == asked


def test_stopped_in_the_report(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.stop_report = KeyboardInterrupt()
    ended = command("--out", tmp_path / "out", *METHODS)
    assert ended.code == 130
    assert "6 of 6 cells are finished and kept" in ended.lines[-1]
    assert f"--resume {the_run(tmp_path / 'out')}" in ended.lines[-1]


@pytest.mark.parametrize(("stop", "code"), STOPS, ids=["Ctrl-C", "SIGTERM"])
def test_stopped_before_there_is_a_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException, code: int
) -> None:
    def stopped(**_: object) -> None:
        raise stop

    monkeypatch.setattr("bench.runner.prepare.make_plan", stopped)
    ended = command("--out", tmp_path / "out")
    assert ended.code == code
    assert ended.lines[-1] == "stopped before the first cell"
    assert list(tmp_path.iterdir()) == []


def test_threads_default_to_the_cores_that_may_be_used(
    command: Command, cells: FakeCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.runner.prepare.available_cores", lambda: 7)
    command("--out", tmp_path / "out", "--methods", "backprop")
    assert {job.cell.config.threads for job in cells.jobs} == {7}


@pytest.mark.parametrize("platform", ["win32", "cygwin", "emscripten"])
def test_another_platform_is_one_sentence(platform: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    refused(command("--list"), "runs on Linux and macOS", platform)


def test_a_working_directory_that_is_gone_is_one_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    refused(command("--list"), "working directory")


def test_two_commands_of_one_second_have_a_folder_each(tmp_path: Path) -> None:
    made = {new_folder(tmp_path, "scale") for _ in range(5)}
    assert len(made) == 5
    assert all(path.is_dir() for path in made)
