"""A race comes back as it was written, or is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.view import arrange
from results.race import RACE_FILE, DatasetRace, MethodRace, RaceRecord, read_race, write_race
from results.store import ResultsError
from tests.factories import RUN_ID, make_cells, make_environment, make_run


def make_race(**overrides: Any) -> RaceRecord:
    timed = MethodRace(method="noprop", steps=2, reference_steps=3, seconds=[0.2, 0.4], reference_seconds=[0.1, 0.2])
    values: dict[str, Any] = {
        "dataset": "mnist",
        "reference": "backprop",
        "seed": 0,
        "threads": 2,
        "device": "cpu",
        "batch_size": 128,
        "started_at": "2026-03-01T11:00:00Z",
        "environment": make_environment(),
        "methods": [timed],
        "failed": {"dies": "its process was killed by SIGKILL"},
    }
    return RaceRecord(run_id=RUN_ID, datasets=[DatasetRace(**(values | overrides))])


def test_a_race_comes_back_and_is_shown_with_its_data_set(tmp_path: Path) -> None:
    assert read_race(tmp_path) is None
    write_race(tmp_path, make_race())
    assert read_race(tmp_path) == make_race()
    cells = make_cells(datasets=["mnist", "digits"])
    view = arrange(make_run(cells), cells, race=read_race(tmp_path))
    assert [data.race is not None for data in view.datasets] == [True, False]
    other = arrange(make_run(cells), cells, race=make_race(reference="backprop[T=2]"))
    assert [data.race for data in other.datasets] == [None, None]


WRONG: dict[str, Any] = {
    "datasets.0.methods.0.seconds.1": {"seconds": [0.2, -1.0]},
    "as many turns": {"seconds": [0.2]},
    "the rounds do not have as many pairs": {"rounds": [1, 2]},
    "datasets.0.methods.0.steps": {"steps": 0},
    "datasets.0.methods.0.colour": {"colour": "red"},
    "timed twice": {"method": "dies"},
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_no_race_is_one_sentence(said: str, tmp_path: Path) -> None:
    content = make_race().model_dump(mode="json")
    content["datasets"][0]["methods"][0] |= WRONG[said]
    refused(tmp_path, json.dumps(content), said)


def test_a_file_cut_short_and_a_newer_one_are_one_sentence(tmp_path: Path) -> None:
    text = make_race().model_dump_json()
    refused(tmp_path, text[:100], "Invalid JSON")
    refused(tmp_path, json.dumps(json.loads(text) | {"schema_version": 9}), "schema version 9")


def refused(folder: Path, content: str, said: str) -> None:
    (folder / RACE_FILE).write_text(content)
    with pytest.raises(ResultsError) as refusal:
        read_race(folder)
    message = str(refusal.value)
    assert message.startswith(f"{folder / RACE_FILE} is not a valid race: ")
    assert said in message
    assert message.endswith("delete it, and race again with python -m bench.race RUN")
    assert "\n" not in message
