"""The race: what it measures where that is known, its order, when there is one, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.runner import execute, race
from bench.runner.race import Heat, race_methods
from bench.runner.racers import RaceError
from bench.runner.turns import MIN_PAIRS, rounds_in
from reports.statistics.race import race_effects
from results.race import RACE_FILE, DatasetRace, read_race
from results.schema import PlannedCell
from results.store import read_cells
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import Plugin
from tests.factories import make_config
from tests.results.test_race import make_race

METHODS = ("--methods", "noprop[T=1],backprop[T=1]", "--seeds", "0", "--threads", "1")


def rogue(name: str, label: str | None = None) -> PlannedCell:
    config = make_config(threads=1, batch_size=16, optimizer="AdamW", options={})
    return PlannedCell(dataset="halves", method=label or name, method_name=name, seed=0, config=config)


@pytest.fixture(scope="module")
def raced(plugin: Plugin) -> tuple[DatasetRace, list[int]]:
    """A race of real processes, and the numbers of those that are left."""
    rivals = [rogue(name) for name in ("dies", "leaves", "quits", "resigns", "dawdles")]
    rivals.insert(0, rogue("steady", "again"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "ROGUE_FLAGS"):
            patch.setenv(name, plugin.environment[name])
        found = race_methods(Heat(rogue("steady"), rivals), None, seconds=0)
        with pytest.raises(RaceError, match=r"^raises raised RuntimeError: no such luck$"):
            race_methods(Heat(rogue("raises"), rivals), None)  # a reference that fails
    return found, [process.pid for process in plugin.processes()]


def test_a_sleep_of_10_ms_is_found_and_a_method_against_itself_is_as_fast(raced: Any) -> None:
    found, left = raced
    again, dawdles = found.methods
    assert median(dawdles.seconds) - median(dawdles.reference_seconds) == pytest.approx(0.0103, abs=0.0015)
    assert dawdles.reference_steps > 4 * dawdles.steps
    assert again.steps == again.reference_steps
    assert again.rounds == [MIN_PAIRS] * rounds_in(0)
    interval = race_effects(found)["again"].family
    assert interval is not None
    assert interval.low < 0.05
    assert interval.high > -0.05
    assert left == []


def test_a_method_that_fails_is_left_out_with_the_reason(raced: Any) -> None:
    found, _ = raced
    assert found.failed == {
        "dies": "the process of dies was killed by SIGKILL (out of memory?)",
        "leaves": "the process of leaves ended with exit code 3",
        "quits": "the process of quits ended with exit code 0",
        "resigns": "resigns raised SystemExit: 0",
    }


class FakeRaces:
    """Instead of processes that are timed: what was to be timed, and a result at once."""

    def __init__(self) -> None:
        self.heats: list[tuple[str, str, list[str]]] = []
        self.stop: BaseException | None = None

    def __call__(self, heat: Heat, data_dir: Path | None, seconds: float) -> DatasetRace:
        self.heats.append((heat.reference.dataset, heat.reference.method, [cell.method for cell in heat.rivals]))
        if self.stop is not None:
            raise self.stop
        (made,) = make_race(dataset=heat.reference.dataset, reference=heat.reference.method).datasets
        timed = [made.methods[0].model_copy(update={"method": cell.method}) for cell in heat.rivals]
        return made.model_copy(update={"methods": timed, "failed": {}})


@pytest.fixture
def races(cells: FakeCells, monkeypatch: pytest.MonkeyPatch) -> FakeRaces:
    fake = FakeRaces()
    monkeypatch.setattr(execute, "race_run", race.race_run)
    monkeypatch.setattr(race, "race_methods", fake)
    return fake


def test_a_run_ends_with_a_race_which_a_resumed_run_does_not_repeat(
    command: Command, races: FakeRaces, second_dataset: str, tmp_path: Path
) -> None:
    assert command(*METHODS, "--datasets", "digits,other", "--out", tmp_path).code == 0
    assert races.heats == [(data, "backprop[T=1]", ["noprop[T=1]"]) for data in ("digits", "other")]
    (run,) = tmp_path.iterdir()
    found = read_race(run)
    assert found is not None
    assert [each.dataset for each in found.datasets] == ["digits", "other"]
    assert command("--resume", run, "--race").code == 0
    assert len(races.heats) == 2
    assert "--race (the run has on, given is off)" in command("--resume", run, "--no-race").err


def test_ctrl_c_in_the_race_keeps_the_cells_and_says_how_to_go_on(
    command: Command, races: FakeRaces, tmp_path: Path
) -> None:
    races.stop = KeyboardInterrupt()
    ended = command(*METHODS, "--out", tmp_path)
    (run,) = tmp_path.iterdir()
    assert ended.code == 130
    assert ended.lines[-1].startswith("stopped: 2 of 2 cells are finished and kept; go on with: ")
    assert len(read_cells(run)) == 2
    races.stop = None
    assert command("--resume", run).code == 0
    assert read_race(run) is not None


NONE = {
    "was not in this run; add it with --methods": ("--methods", "noprop[T=1],dfa", "--seeds", "0"),
    "no other method than backprop has finished": ("--methods", "backprop", "--seeds", "0"),
}


@pytest.mark.parametrize("why", NONE)
def test_where_there_is_no_race_it_is_said(command: Command, races: FakeRaces, tmp_path: Path, why: str) -> None:
    ended = command(*NONE[why], "--out", tmp_path)
    assert ended.code == 0
    assert sum(why in line and line.startswith("note: no race") for line in ended.lines) == 1
    assert races.heats == []


def test_cells_that_ran_side_by_side_are_raced_when_they_have_ended(
    command: Command, races: FakeRaces, tmp_path: Path
) -> None:
    assert command(*METHODS, "--jobs", "2", "--out", tmp_path).code == 0
    (run,) = tmp_path.iterdir()
    assert read_race(run) is not None


def test_without_a_race_nothing_is_said(command: Command, races: FakeRaces, tmp_path: Path) -> None:
    ended = command(*METHODS, "--no-race", "--out", tmp_path)
    assert ended.code == 0
    assert "race" not in ended.err
    assert races.heats == []
    assert not [*tmp_path.glob(f"*/{RACE_FILE}")]


def test_a_reference_that_fails_is_said_and_the_report_is_built(
    command: Command, races: FakeRaces, tmp_path: Path
) -> None:
    races.stop = RaceError("backprop[T=1] raised OSError: no", rogue("backprop"))
    ended = command(*METHODS, "--out", tmp_path)
    assert ended.code == 0
    assert "note: no race on digits: backprop[T=1] raised OSError: no" in ended.lines
    assert ended.out.splitlines()[-1].endswith("report.md")
