"""`python -m bench.calibrate`: pairs in turns, a calibration that later runs find, and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import calibrate
from results.calibration import CALIBRATION_FILE
from results.schema import CalibrationRecord
from results.store import read_cells, read_record, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import Ended, Plugin, call

GIVEN = ("--method", "backprop-plain", "--threads", "1", "--device", "cpu")


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: call(calibrate.main, "bench.calibrate", arguments, monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


def test_pairs_have_the_same_work_and_take_turns(
    calibration: Callable[..., Ended], cells: FakeCells, tmp_path: Path
) -> None:
    assert calibration("--out", tmp_path, *GIVEN, "--pairs", "3").code == 0
    names = [key[1] for key in cells.started]
    one, again = "backprop-plain", "backprop-plain (again)"
    assert names == [one, again, again, one, one, again]
    assert [key[2] for key in cells.started] == [0, 0, 1, 1, 2, 2]
    assert len({job.cell.config.model_dump_json() for job in cells.jobs}) == 1
    (run,) = tmp_path.iterdir()
    assert read_run(run).purpose == "calibration"
    assert read_record(run / CALIBRATION_FILE, CalibrationRecord).pairs == 3


def test_later_runs_of_the_same_machine_take_it_with_them(
    calibration: Callable[..., Ended],
    command: Command,
    cells: FakeCells,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.runner import folders
    from tests.factories import make_environment

    monkeypatch.setattr(folders, "describe_environment", lambda device: make_environment())
    calibration("--out", tmp_path, *GIVEN, "--pairs", "2")
    (made,) = tmp_path.iterdir()
    common = ("--out", tmp_path, "--methods", "backprop-plain", "--seeds", "0", "--device", "cpu")
    command(*common, "--threads", "1")
    command(*common, "--threads", "2")
    known = [read_run(run).calibration for run in sorted(tmp_path.iterdir()) if run != made]
    assert sorted(each.run_id if each else "" for each in known) == ["", made.name]


def test_stopped_and_resumed_it_is_a_calibration_all_the_same(
    calibration: Callable[..., Ended], command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    cells.stop = {"backprop-plain (again)": KeyboardInterrupt()}
    assert calibration("--out", tmp_path, *GIVEN, "--pairs", "2").code == 130
    (run,) = tmp_path.iterdir()
    assert not (run / CALIBRATION_FILE).exists()
    cells.stop = {}
    assert command("--resume", run).code == 0
    assert read_record(run / CALIBRATION_FILE, CalibrationRecord).pairs == 2
    assert len(read_cells(run)) == 4


def test_too_few_pairs_are_no_calibration_and_lose_nothing(
    calibration: Callable[..., Ended], cells: FakeCells, tmp_path: Path
) -> None:
    cells.failing = {"backprop-plain (again)"}
    ended = calibration("--out", tmp_path, *GIVEN, "--pairs", "2")
    assert ended.code == 2
    assert "a calibration needs 2" in ended.lines[-1]
    (run,) = tmp_path.iterdir()
    assert len(read_cells(run)) == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--method", "backprop,noprop"), "more than one method"),
        (("--method", "all"), "more than one method"),
        (("--method", "nothing"), "'nothing'"),
        (("--pairs", "1"), "from 2 to 1000"),
        (("--dataset", "nothing"), "'nothing'"),
        (("--preset", "nothing"), "'nothing'"),
    ],
)
def test_what_cannot_be_calibrated(
    calibration: Callable[..., Ended], cells: FakeCells, tmp_path: Path, given: tuple[str, str], said: str
) -> None:
    ended = calibration("--out", tmp_path / "out", *given)
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert said in ended.err
    assert not (tmp_path / "out").exists()


def test_for_real(plugin: Plugin, tmp_path: Path) -> None:
    ended = plugin.run(
        *("--method", "steady", "--dataset", "halves", "--pairs", "2", "--epochs", "2", "--threads", "1"),
        *("--out", tmp_path),
        module="bench.calibrate",
    )
    assert ended.code == 0, ended.err
    (run,) = tmp_path.iterdir()
    assert "A method against itself" in (run / "report.md").read_text()
    for row in read_cells(run):
        assert row.machine is not None
        assert row.machine.rss_series
        assert row.machine.seconds > 0
