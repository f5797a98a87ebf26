"""Results from before a method had an option say what was then built in."""

from __future__ import annotations

import json

import pytest

import methods
from results.past_options import PAST
from results.schema import CellResult, PlannedCell
from tests.factories import make_cell, make_config


@pytest.mark.parametrize("given", [{}, {"features": "flatten"}])
def test_a_record_without_the_option_has_the_old_value(given: dict[str, str]) -> None:
    cell = make_cell("backprop-plain", config=make_config(options=given))
    planned = PlannedCell(**{name: getattr(cell, name) for name in PlannedCell.model_fields})
    for record in (cell, planned):
        read = type(record).model_validate_json(record.model_dump_json())
        assert isinstance(read, CellResult | PlannedCell)
        assert read.config.options == {"features": "mean", "network": "cnn", "mlp_of": "dfa"} | given


@pytest.mark.parametrize("name", ["backprop", "backprop-deep-supervision", "noprop-attached", "adjoint"])
def test_classifiers_of_old_rows_started_with_their_own_logits(name: str) -> None:
    row = json.loads(make_cell(name).model_dump_json())
    assert row["config"]["options"].pop("head_scale") == 10.0
    assert CellResult.model_validate(row).config.options["head_scale"] == 1.0


def test_a_method_of_somebody_else_keeps_its_options() -> None:
    row = json.loads(make_cell("backprop-plain", config=make_config(options={})).model_dump_json())
    assert CellResult.model_validate(row | {"method_name": "theirs"}).config.options == {}


def test_every_past_value_is_accepted_today() -> None:
    for name, options in PAST.items():
        assert methods.get(name).Options.parse(options).as_dict().items() >= options.items()
