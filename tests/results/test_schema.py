"""What a record refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from results.schema import CellConfig, CellResult, RunRecord
from tests.factories import make_cell, make_config, make_failed_cell, make_run


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test_accuracy", 1.01),
        ("val_accuracy", -0.1),
        ("test_accuracy", 98.7),
        ("train_seconds", -1.0),
        ("peak_rss_bytes", -1),
        ("peak_rss_bytes", 1.5),
        ("seed", -1),
        ("status", "fine"),
        ("schema_version", 4),
        ("rss_source", "a guess"),
        ("seconds_to", {"0.90": -1.0}),
    ],
)
def test_impossible_value(field: str, value: object) -> None:
    values: dict[str, Any] = make_cell().model_dump() | {field: value}
    with pytest.raises(ValidationError) as refusal:
        CellResult.model_validate(values)
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch_size", 1), ("lr", 0.0), ("weight_decay", -0.1), ("threads", 0), ("train_size", 0)],
)
def test_impossible_setting(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        CellConfig.model_validate(make_config().model_dump() | {field: value})


def test_unknown_field() -> None:
    with pytest.raises(ValidationError, match="colour"):
        CellResult.model_validate(make_cell().model_dump() | {"colour": "red"})


def test_run_without_cells() -> None:
    with pytest.raises(ValidationError):
        RunRecord.model_validate(make_run([make_cell()]).model_dump() | {"cells": []})


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        make_cell().test_accuracy = 1.0


def test_key_is_the_same_for_plan_and_result() -> None:
    cell = make_cell("noprop[T=20]", "mnist", 3)
    assert cell.key == make_run([cell]).cells[0].key == ("mnist", "noprop[T=20]", 3)


def test_failed_cell_measures_nothing() -> None:
    """What was never reached is null, not zero."""
    cell = make_failed_cell()
    assert cell.test_accuracy is cell.train_seconds is cell.peak_rss_bytes is cell.parameters is None
    assert cell.epochs == []
