"""Unequal terms are found, and equal ones are not reported."""

from __future__ import annotations

from typing import Any

import pytest

from reports.sections.configuration import options_table, settings_table
from reports.sections.unmatched import Mismatch, mismatches, unmatched_table
from reports.view import RunView, arrange
from results.schema import CellResult
from tests.factories import make_cell, make_config, make_data, make_run

SAME: dict[str, Any] = {"parameters": 100, "stack_parameters": 90}


def view_of(*cells: CellResult) -> RunView:
    return arrange(make_run(cells), cells)


def found(ours: dict[str, Any], theirs: dict[str, Any] | None = None) -> list[Mismatch]:
    """Mismatches between two methods that are equal but for the given fields."""
    return mismatches(view_of(make_cell("backprop", **SAME | ours), make_cell("noprop", **SAME | (theirs or {}))))


def test_equal_terms_give_none() -> None:
    assert found({}) == []
    assert unmatched_table([]) == "none"


@pytest.mark.parametrize(
    ("field", "value", "shown", "usual"),
    [
        ("epochs", 7, "7", "5"),
        ("lr", 0.01, "0.01", "0.001"),
        ("optimizer", "sgd", "sgd", "adamw"),
        ("train_size", 1000, "1000", "all"),
        ("threads", 1, "1", "2"),
    ],
)
def test_a_setting_that_differs_is_listed_with_both_values(field: str, value: Any, shown: str, usual: str) -> None:
    assert found({"config": make_config(**{field: value})}) == [
        Mismatch("mnist", field, {shown: ["backprop"], usual: ["noprop"]})
    ]


def test_an_option_counts_only_where_both_methods_have_it() -> None:
    ours = {"config": make_config(options={"T": 5, "checkpoint": True})}
    theirs = {"config": make_config(options={"T": 10, "eta": 0.1})}
    assert found(ours, theirs) == [Mismatch("mnist", "option T", {"5": ["backprop"], "10": ["noprop"]})]


def test_true_and_one_are_different_option_values() -> None:
    ours, theirs = ({"config": make_config(options={"x": value})} for value in (True, 1))
    assert found(ours, theirs) == [Mismatch("mnist", "option x", {"true": ["backprop"], "1": ["noprop"]})]


def test_other_data_and_other_parameter_counts_are_listed() -> None:
    what = [
        m.what for m in found({"data": make_data(fingerprint="cd" * 32), "parameters": 101, "stack_parameters": 91})
    ]
    assert what == ["data (fingerprint)", "parameters", "parameters in the matched blocks"]


def test_a_setting_that_differs_between_seeds_of_one_method_is_listed_too() -> None:
    cells = [make_cell(seed=0, **SAME), make_cell(seed=1, **SAME, config=make_config(lr=0.1))]
    assert mismatches(view_of(*cells)) == [Mismatch("mnist", "lr", {"0.001": ["backprop"], "0.1": ["backprop"]})]


def test_settings_may_differ_between_data_sets() -> None:
    cells = [make_cell(dataset="mnist", **SAME), make_cell(dataset="digits", **SAME, config=make_config(epochs=99))]
    assert mismatches(view_of(*cells)) == []
    epochs = next(line for line in settings_table(view_of(*cells)).splitlines() if line.startswith("| epochs"))
    assert [entry.strip() for entry in epochs.strip("|").split("|")] == ["epochs", "5", "99"]


def test_the_same_mismatch_of_two_data_sets_is_one_row() -> None:
    both = {"x": ["a"], "y": ["b"]}
    table = unmatched_table([Mismatch("mnist", "lr", both), Mismatch("digits", "lr", both)])
    assert len(table.splitlines()) == 3
    assert "`mnist`, `digits`" in table


def test_options_of_every_method_are_shown_with_defaults() -> None:
    table = options_table(view_of(make_cell("noprop", config=make_config(options={"T": 10, "names": [1, 2]}))))
    assert "`T = 10, names = [1, 2]`" in table
