"""Grids of cells: `bench.tune --sweep lr` and `bench.scale --accuracy`, with cells that take no time."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from bench import scale, tune
from bench.children.protocol import Job
from results.grid import GRID_FILE, read_grid
from tests.bench.fakes import FakeCells, FakeTrials
from tests.bench.harness import Ended, call, refused

Command = Callable[..., Ended]
RATES = ("--methods", "noprop,backprop", "--threads", 1, "--epochs", 2, "--rates", "1e-4,1e-2", "--seeds", "7,8")
DEPTHS = ("--methods", "noprop,backprop", "--threads", 1, "--epochs", 1, "--depths", "2,1", "--seeds", "0,1,2")
BEST = {"noprop": 1e-2, "backprop": 1e-3}


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    before = signal.getsignal(signal.SIGTERM)

    def given(more: tuple[object, ...]) -> tuple[object, ...]:
        return ("--out", tmp_path, *more) if "--sweep" in more else ("--sweep", "lr", "--out", tmp_path, *more)

    yield lambda *more: call(tune.main, "bench.tune", given(more), monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def depth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    before = signal.getsignal(signal.SIGTERM)
    given = ("--accuracy", "--out", tmp_path)
    yield lambda *more: call(scale.main, "bench.scale", (*given, *more), monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


def by_rate(job: Job) -> float:
    """A tenth less for each decade from the method's best rate, and 0.001 more for seed 8."""
    config = job.cell.config
    return 0.9 - 0.1 * abs(math.log10(config.lr / BEST[job.cell.method_name])) + 0.001 * (job.cell.seed == 8)


def tried(trials: FakeTrials) -> list[tuple[str, int, float]]:
    return [(job.cell.method_name, job.cell.seed, job.cell.config.lr) for job in trials.jobs]


def test_every_method_at_every_rate_and_the_default(sweep: Command, trials: FakeTrials, tmp_path: Path) -> None:
    trials.accuracy = by_rate
    ended = sweep(*RATES)
    folder = tmp_path / "digits-lr"
    assert (ended.code, ended.out.splitlines()) == (0, [str(folder / "report.md")])
    assert sorted(tried(trials)) == sorted(
        (method, seed, lr) for method in BEST for seed in (7, 8) for lr in (1e-4, 1e-3, 1e-2)
    )
    assert all(job.trial for job in trials.jobs)
    assert {(job.cell.config.epochs, job.cell.config.eval_every > 2) for job in trials.jobs} == {(2, True)}
    report = (folder / "report.md").read_text()
    assert "**The default rate, 0.001, is within 0.5 points of the best for 1 of 2 methods.**" in report
    assert "Further from their best: `noprop` (best 0.01, +10.0)." in report
    assert "Best at the end of the grid, so that a rate beyond may be better still: `noprop`." in report
    drawn = pd.read_csv(folder / "figures" / "digits-accuracy-by-learning-rate.csv")
    assert dict(drawn[drawn["best"]][["method", "learning_rate"]].to_numpy()) == BEST
    assert drawn["validation_accuracy_percent"].max() == pytest.approx(90.05)


def test_a_sweep_goes_on_and_grows(sweep: Command, trials: FakeTrials, tmp_path: Path) -> None:
    trials.accuracy = by_rate
    trials.stop_at = 5
    ended = sweep(*RATES)
    assert (ended.code, "5 of 12 cells have ended and are kept" in ended.err) == (130, True)
    trials.stop_at = None
    assert sweep(*RATES).code == 0
    assert len(set(tried(trials))) == len(trials.jobs) == 12
    assert sweep("--methods", "noprop", *RATES[2:7], "3e-2", *RATES[8:]).code == 0
    assert [lr for *_, lr in tried(trials)[12:]] == [0.03, 0.03]
    record = read_grid(tmp_path / "digits-lr").record
    assert len(record.points) == 14
    assert [str(tmp_path) in command for command in record.commands] == [False, False]
    assert sweep(*RATES).code == 0
    assert len(trials.jobs) == 14
    refused(sweep(*RATES[:5], 3, *RATES[6:]), "differing: epochs", "--name")
    refused(sweep("--methods", "dfa", *RATES[2:], "--batch-size", 16), "differing: batch_size")


def test_a_sweep_from_before_a_method_was_renamed_goes_on(sweep: Command, trials: FakeTrials, tmp_path: Path) -> None:
    given = ("--methods", "backprop-plain", *RATES[2:])
    trials.accuracy = lambda job: 0.5
    assert sweep(*given).code == 0
    folder = tmp_path / "digits-lr"
    (folder / GRID_FILE).write_text((folder / GRID_FILE).read_text().replace("backprop-plain", "backprop-cnn"))
    assert sweep(*given).code == 0
    assert len(trials.jobs) == len(read_grid(folder).record.points) == 6


def test_a_rate_that_diverges_is_a_result(sweep: Command, trials: FakeTrials, tmp_path: Path) -> None:
    trials.failing = lambda job: job.cell.config.lr == 1e-2
    ended = sweep(*RATES)
    assert (ended.code, ended.err.count("failed: ")) == (0, 4)
    report = (tmp_path / "digits-lr" / "report.md").read_text()
    assert "**Without a result**: `noprop` at 0.01 (training diverged: the loss is nan) and" in report
    trials.failing = lambda job: True
    assert sweep(*RATES).code == 0
    assert len(trials.jobs) == 12
    assert sweep(*RATES, "--name", "all").code == 1


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        (("--trials", 3), "--trials is not accepted with --sweep"),
        (("--rates", "0"), "'0' is not a finite number above 0"),
        (("--sweep", "T"), "'T' is not"),
    ],
)
def test_what_cannot_be_swept(
    sweep: Command, trials: FakeTrials, tmp_path: Path, given: tuple[object, ...], quoted: str
) -> None:
    refused(sweep(*given), quoted)
    assert list(tmp_path.iterdir()) == []


def test_every_method_at_every_depth(depth: Command, cells: FakeCells, tmp_path: Path) -> None:
    ended = depth(*DEPTHS, "--html")
    folder = tmp_path / "digits-depth"
    assert (ended.code, ended.out.splitlines()) == (0, [str(folder / "report.md")])
    labels = {f"{method}[T={T}]" for method in ("noprop", "backprop") for T in (1, 2)}
    assert sorted(cells.started) == sorted(("digits", label, seed) for label in labels for seed in range(3))
    assert not any(job.trial for job in cells.jobs)
    drawn = pd.read_csv(folder / "figures" / "digits-accuracy-by-depth.csv")
    assert sorted(zip(drawn["method"], drawn["T"], strict=True)) == sorted(
        (method, T) for method in ("noprop", "backprop") for T in (1, 2)
    )
    rows = [row for row in read_grid(folder).rows.values() if row.method == "noprop[T=2]"]
    mean = 100 * sum(row.test_accuracy or 0.0 for row in rows) / 3
    found = drawn[(drawn["method"] == "noprop") & (drawn["T"] == 2)]
    assert found["test_accuracy_percent"].item() == pytest.approx(mean)
    assert found["half_of_95_interval_points"].item() > 0
    assert "**With T = 2 against T = 1**" in (folder / "report.md").read_text()
    assert (folder / "report.html").exists()


def test_failed_depths_are_tried_again_and_others_are_added(depth: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.failing = {"noprop[T=2]"}
    ended = depth(*DEPTHS)
    assert (ended.code, ended.err.count("failed: ")) == (1, 3)
    cells.failing, cells.started = set(), []
    assert depth(*DEPTHS).code == 0
    assert {method for _, method, _ in cells.started} == {"noprop[T=2]"}
    cells.started = []
    assert depth("--methods", "backprop", *DEPTHS[2:7], "3", *DEPTHS[8:]).code == 0
    assert {method for _, method, _ in cells.started} == {"backprop[T=3]"}
    assert len(read_grid(tmp_path / "digits-depth").record.points) == 15


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        (("--methods", "noprop[T=3]"), "--depths"),
        (("--methods", "backprop-plain"), "backprop-plain is not accepted: it has no number of blocks T"),
        (("--sides", "8"), "--sides is not accepted with --accuracy"),
        (("--name", "a/b"), "'a/b'"),
    ],
)
def test_depths_that_cannot_be(
    depth: Command, cells: FakeCells, tmp_path: Path, given: tuple[object, ...], quoted: str
) -> None:
    refused(depth(*given), quoted)
    assert list(tmp_path.iterdir()) == []
