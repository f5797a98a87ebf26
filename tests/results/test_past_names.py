"""Results from before a method was renamed are read under today's name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import tomlkit
from pydantic import BaseModel

import methods
from bench.planning.presets import WINNERS_KEY
from bench.planning.tuned import as_table, read_winners
from results.conditions import Winner
from results.grid import GridPoint
from results.microbenchmarks import read_microbenchmarks
from results.past_names import todays
from results.race import DatasetRace, MethodRace
from results.scale import ScalePoint, Timing
from results.schema import PlannedCell
from results.store import CELLS_FILE, RUN_FILE, read_cells, read_run
from tests.bench.test_models import card_of
from tests.factories import make_calibration, make_cell, make_config, make_run, make_tuning, write_run
from tests.methods.helpers import build
from tests.microbench_factory import write_session
from tests.results.test_race import make_race

OLD, NEW = "backprop-cnn", "backprop-plain"
NAMED = f"{NEW}[features=mean]"


def aged(text: str) -> str:
    """A record as it was written under the old name."""
    assert NEW in text
    return text.replace(NEW, OLD)


def old_run(folder: Path) -> Path:
    """A run of two cells under the old name, the first of them finished, its checksum of that day."""
    cell = make_cell(NAMED, seed=0, trained_with=NEW)
    write_run(folder, [], make_run([cell, make_cell(NAMED, seed=1)]))
    file = folder / RUN_FILE
    file.write_text(aged(file.read_text()))
    body = aged(cell.model_dump_json()).encode()
    (folder / CELLS_FILE).write_bytes(body[:-1] + b',"sha256":"%b"}\n' % hashlib.sha256(body).hexdigest().encode())
    return folder


@pytest.mark.parametrize("rest", ["", "[features=mean]", "[network=mlp,mlp_of=dfa]", " (lr=0.01)", "[clip=1] (again)"])
def test_a_label_keeps_what_is_behind_the_name(rest: str) -> None:
    assert todays(OLD + rest) == NEW + rest
    assert todays("backprop" + rest) == "backprop" + rest
    assert todays(f"{OLD}-wide{rest}") == f"{OLD}-wide{rest}"


@pytest.mark.parametrize("names", [(OLD, NEW), (NEW, OLD)])
def test_of_both_names_in_one_table_todays_counts(names: tuple[str, str]) -> None:
    race = make_race().datasets[0].model_dump(mode="json") | {"failed": {name: f"as {name}" for name in names}}
    assert DatasetRace.model_validate(race).failed == {NEW: f"as {NEW}"}


def test_the_old_name_can_be_typed_and_is_not_listed() -> None:
    assert methods.get(OLD) is methods.get(NEW)
    assert OLD not in methods.available()
    with pytest.raises(methods.MethodError, match="did you mean 'backprop-plain'"):
        methods.get("BackProp-CNN2")


def test_a_run_is_read_and_its_rows_are_not_rewritten(tmp_path: Path) -> None:
    folder = old_run(tmp_path / "run")
    before = (folder / CELLS_FILE).read_bytes()
    run = read_run(folder)
    (row,) = read_cells(folder, run)
    assert {(cell.method, cell.method_name) for cell in (row, *run.cells)} == {(NAMED, NEW)}
    assert row.trained_with == NEW
    assert row.config.options["network"] == "cnn"
    assert (folder / CELLS_FILE).read_bytes() == before


CELL = make_cell(NAMED, config=make_config(options={"features": "mean", "network": "cnn", "mlp_of": "dfa"}))
PLANNED = PlannedCell(**{name: getattr(CELL, name) for name in PlannedCell.model_fields})
RECORDS: dict[str, BaseModel] = {
    "a race": make_race(reference=NEW, failed={NAMED: "it was out of memory"}),
    "a method's race": MethodRace(method=NEW, steps=2, reference_steps=3, seconds=[0.2], reference_seconds=[0.1]),
    "a calibration": make_calibration(method=NEW),
    "a planned cell": PLANNED,
    "a point of a grid": GridPoint(
        method=NEW, value=0.1, cell=PLANNED.model_copy(update={"method": f"{NAMED} (lr=0.1)"})
    ),
    "a point of a scale": ScalePoint(
        axis="T",
        value=10,
        method=NEW,
        seconds=Timing(median=1.0, iqr=0.1, rounds=3),
        images=128,
        flops=None,
        activation_bytes=1,
    ),
    "a model's card": card_of(build(NEW)),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_other_records_are_read_as_if_written_today(kind: str) -> None:
    record = RECORDS[kind]
    assert type(record).model_validate_json(aged(record.model_dump_json())) == record


def test_microbenchmarks_are_read_as_if_written_today(tmp_path: Path) -> None:
    file = write_session(tmp_path / "microbench.json")
    today = read_microbenchmarks(file)
    assert today is not None
    assert NEW in {benchmark.extra_info.method for benchmark in today.benchmarks}
    file.write_text(aged(file.read_text()))
    read = read_microbenchmarks(file)
    assert read is not None
    assert [benchmark.key for benchmark in read.benchmarks] == [benchmark.key for benchmark in today.benchmarks]


def test_winners_of_a_search_are_found(tmp_path: Path) -> None:
    winner = Winner(lr=0.002, weight_decay=0.0, tuning=make_tuning())
    file = tmp_path / "tuned.toml"
    file.write_text(aged(tomlkit.dumps({WINNERS_KEY: as_table({"digits": {NAMED: winner}})})))
    assert read_winners(file) == {"digits": {NAMED: winner}}
