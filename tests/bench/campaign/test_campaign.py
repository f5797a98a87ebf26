"""The campaign: its runs are right, an estimate comes first, and the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import campaign
from bench.campaign import carry_out
from bench.campaign.estimate import estimate
from bench.planning.method_spec import parse_methods
from bench.planning.plan import make_plan
from bench.planning.sharing import share_trainings
from bench.training.loop import DeviceData
from results.conditions import DataRecord
from results.files import read_toml
from results.schema import PlannedCell
from tests.bench.fakes import FakeCells
from tests.bench.harness import Ended, call

SMALL = 'datasets = ["digits"]\nmethods = ["noprop[T=1]", "noprop[T=1,sampler=mean]", "backprop-plain"]\nseeds = [0]\n'


@pytest.mark.parametrize("name", carry_out.names())
def test_every_run_is_one_of_methods_and_data_that_there_are(name: str) -> None:
    content = read_toml(carry_out.RUNS / f"{name}.toml")
    assert parse_methods(",".join(content["methods"]), {})
    assert set(content["datasets"]) <= {"mnist", "fashion-mnist", "cifar10"}
    assert len(content["seeds"]) in (1, 3, 5)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads_as_before: None) -> Path:
    """A campaign of one small run; where it is made."""
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "01-small.toml").write_text(SMALL)
    monkeypatch.setattr(carry_out, "RUNS", runs)
    return tmp_path / "out"


def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    return call(campaign.main, "bench.campaign", arguments, monkeypatch, capsys)


def test_it_estimates_runs_and_goes_on(
    small: Path, cells: FakeCells, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(small), "--threads", "1")
    ended = start(monkeypatch, capsys, "--estimate", *out)
    assert ended.code == 0
    assert "01-small: 3 cells to go, about 0.0 hours, up to" in ended.err
    assert not small.exists()
    cells.failing = {"backprop-plain"}
    assert start(monkeypatch, capsys, *out).code == 1
    cells.failing = set()
    cells.started.clear()
    ended = start(monkeypatch, capsys, *out)
    assert (ended.code, cells.started) == (0, [("digits", "backprop-plain", 0)])
    assert "01-small: 1 cells to go" in ended.err
    assert "01-small: all cells are done" in start(monkeypatch, capsys, *out).err
    assert len(list(small.glob("01-small/*/run.json"))) == 1


def test_an_unknown_run_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = start(monkeypatch, capsys, "mnist")
    assert ended.code == 2
    assert "unknown run 'mnist': the campaign's runs are 01-mnist-rivals, " in ended.err


def test_trainings_count_once_and_jobs_divide(monkeypatch: pytest.MonkeyPatch, threads_as_before: None) -> None:
    cells = share_trainings(
        make_plan(
            methods="noprop[T=1],noprop[T=1,sampler=mean],backprop-plain",
            datasets=("digits",),
            preset="quick",
            seeds=(0, 1),
            device="cpu",
            threads=1,
        )
    )
    measured: list[tuple[str, int]] = []

    def measure(cell: PlannedCell, data: DeviceData, record: DataRecord, *, forms: int) -> tuple[float, int]:
        measured.append((cell.method, forms))
        return 3600.0, 2**20

    monkeypatch.setattr("bench.campaign.estimate._measure", measure)
    assert estimate(cells, None, jobs=2) == "6 cells to go, about 2.0 hours, up to 1 MiB of tensors in a cell"
    assert sorted(measured) == [("backprop-plain", 1), ("noprop[T=1]", 2)]
