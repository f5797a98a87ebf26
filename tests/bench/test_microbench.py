"""The command around the microbenchmarks: what pytest is asked for, what a run gets, and one sentence for a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import microbench
from bench.meters.environment import available_cores
from bench.runner.folders import run_lock
from results.microbenchmarks import MICROBENCH_FILE, read_microbenchmarks
from tests.bench.harness import Ended, call
from tests.factories import make_cell, make_config, make_failed_cell, write_run
from tests.microbench_factory import make_benchmark, make_session, write_session

Command = Callable[..., Ended]


class FakePytest:
    """Saves a session at once, as pytest-benchmark names it, and ends with a code."""

    def __init__(self) -> None:
        self.code = 0
        self.session: dict[str, Any] | None = make_session()
        self.asked: list[list[str]] = []

    def __call__(self, arguments: list[str]) -> int:
        self.asked.append(arguments)
        if self.session is not None:
            folder = microbench.STORAGE / "Linux"
            folder.mkdir(parents=True, exist_ok=True)
            write_session(folder / f"{len(self.asked):04}_abc.json", self.session)
        return self.code


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePytest:
    fake = FakePytest()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(microbench, "_pytest", fake)
    return fake


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Calls the command with arguments as the shell would give them; what pytest's process prints is caught too."""
    return lambda *arguments: call(microbench.main, "bench.microbench", arguments, monkeypatch, capfd)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [make_cell(epochs=1, config=make_config(epochs=1, threads=1))])


def test_the_first_session_is_compared_with_nothing_and_the_next_with_the_last(
    suite: FakePytest, command: Command
) -> None:
    ends = [command("--benchmark-compare-fail=mean:10%", "-k", "noprop") for _ in range(3)]
    assert [end.code for end in ends] == [0, 0, 0]
    assert "holds no previous session" in ends[0].err
    assert ends[1].err == ends[2].err == ""
    assert not any("compare" in argument for argument in suite.asked[0])
    for asked, former in zip(suite.asked[1:], ["0001_abc.json", "0002_abc.json"], strict=True):
        assert f"--benchmark-compare={(microbench.STORAGE / 'Linux' / former).resolve()}" in asked
        assert "--benchmark-compare-fail=mean:10%" in asked
        assert asked[-2:] == ["-k", "noprop"]


def test_what_the_former_session_lacks_is_named(suite: FakePytest, command: Command) -> None:
    command()
    suite.session = make_session([make_benchmark("step", "backprop"), make_benchmark("step", "other")])
    assert re.fullmatch(r"note: compared with nothing, [^\n]*: test_step\[28x28-other\]\n", command().err)


def test_a_run_gets_the_session_and_a_report_with_it(suite: FakePytest, command: Command, run: Path) -> None:
    end = command("--run", run)
    assert (end.code, end.err) == (0, "")
    assert end.out.splitlines()[-1] == str(run / "report.md")
    assert json.loads((run / MICROBENCH_FILE).read_text()) == suite.session
    assert "## Microbenchmarks" in (run / "details.md").read_text()
    assert {path.name for path in run.iterdir()} >= {"run.json", "cells.jsonl", "report.md", MICROBENCH_FILE}
    assert not list(run.glob("*.part"))


def test_threads_are_those_asked_for_or_the_run_s_or_all(suite: FakePytest, command: Command, run: Path) -> None:
    command()
    command("--run", run)
    command("--run", run, "--threads", 3)
    threads = [re.findall(r"--microbench-threads=(\d+)", " ".join(asked)) for asked in suite.asked]
    assert threads == [[str(available_cores())], ["1"], ["3"]]


@pytest.mark.parametrize("code", [1, 3])
def test_a_benchmark_that_fails_leaves_the_run_as_it_was(
    code: int, suite: FakePytest, command: Command, run: Path
) -> None:
    suite.code = code
    end = command("--run", run)
    assert end.code == 1
    assert re.fullmatch(r"failed: [^\n]* is unchanged\n", end.err)
    assert not (run / MICROBENCH_FILE).exists()
    assert not (run / "report.md").exists()


@pytest.mark.parametrize("code", [4, 5])
def test_arguments_that_pytest_cannot_use_are_named(code: int, suite: FakePytest, command: Command) -> None:
    suite.code = code
    refused(command("-k", "no such thing"), "-k 'no such thing'")


def test_nothing_saved_is_no_success(suite: FakePytest, command: Command, run: Path) -> None:
    suite.session = None
    refused(command("--run", run, "--benchmark-disable"), "saved nothing")


def test_mistakes_are_one_sentence_before_anything_is_timed(
    suite: FakePytest, command: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(command("--run", "nowhere"), "nowhere is not a run")
    refused(command("--benchmark-compare-fail=mean:ten"), "'mean:ten' is not accepted: give min")
    refused(command("--threads", 0), "threads")
    refused(command("-k", "noprop", "/nowhere::test"), "there is no '/nowhere'")
    failed = write_run(run.parent / "failed", [make_failed_cell()])
    refused(command("--run", failed), "no cell of")
    with run_lock(run):
        refused(command("--run", run), "another process is working on")
    monkeypatch.setattr(microbench, "SUITE", run / "tests")
    refused(command(), "need a checkout")
    assert suite.asked == []


def test_a_damaged_former_session_is_one_sentence(suite: FakePytest, command: Command) -> None:
    command()
    (former,) = microbench.STORAGE.glob("*/*.json")
    former.write_text("{")
    refused(command(), f"{former} does not hold microbenchmarks")
    assert len(suite.asked) == 1


def test_real_timings_are_compared_and_read_and_slower_ones_are_no_traceback(
    command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quickest of all benchmarks, by pytest in its own process, against a session that nothing can keep up with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # with it, pytest-benchmark times nothing
    name = "tests/benchmarks/test_methods.py::test_prediction[8x8-backprop-plain]"
    fast = make_benchmark("predict", "backprop-plain", shape=[1, 8, 8], mean=1e-9, median=1e-9, q1=1e-9, q3=1e-9)
    (microbench.STORAGE / "Linux").mkdir(parents=True)
    former = write_session(microbench.STORAGE / "Linux" / "0001_abc.json", make_session([fast | {"fullname": name}]))
    end = command("--run", run, "--benchmark-compare-fail=mean:10%", "-k", "prediction and 8x8 and backprop-plain")
    assert end.code == 1
    assert end.err.endswith(f"failed: {run} is unchanged\n")
    assert "Performance has regressed" in end.out + end.err
    assert "Traceback" not in end.out + end.err
    (path,) = set(microbench.STORAGE.glob("*/*.json")) - {former}
    session = read_microbenchmarks(path)
    assert session is not None
    (timed,) = session.benchmarks
    measured = timed.extra_info
    assert timed.key == ("predict", "backprop-plain", (1, 8, 8), False)
    assert (measured.batch_size, measured.images, measured.num_classes, measured.threads) == (128, 128, 10, 1)
    assert measured.images_per_second == pytest.approx(128 / timed.stats.median)
    assert timed.stats.rounds >= 5


def refused(end: Ended, said: str) -> None:
    assert end.code == 2
    assert re.fullmatch(r"error: [^\n]+\n", end.err)
    assert said in end.err
