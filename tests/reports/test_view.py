"""Arranging a run: order, and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reports.view import arrange, parse_utc
from tests.factories import make_cell, make_cells, make_failed_cell, make_run


def test_methods_and_data_sets_come_in_the_order_of_the_plan_not_of_the_results() -> None:
    cells = make_cells(["noprop", "backprop"], ["mnist", "digits"])
    view = arrange(make_run(cells), cells[::-1])
    assert view.methods == ["noprop", "backprop"]
    assert [data.name for data in view.datasets] == ["mnist", "digits"]
    assert [cell.seed for cell in view.datasets[0].finished["noprop"]] == [0, 1, 2]
    assert view.results == cells


def test_failed_and_unstarted_cells_are_missing_with_their_reason() -> None:
    planned = make_cells(seeds=range(2))
    cells = [planned[0], make_failed_cell("noprop", seed=0, error="out of memory"), planned[2]]
    missing = arrange(make_run(planned), cells).missing
    assert [(cell.method, cell.seed, cell.reason) for cell in missing] == [
        ("noprop", 0, "error: out of memory"),
        ("noprop", 1, "not run"),
    ]


def test_a_result_that_was_not_planned_is_kept_and_counted() -> None:
    view = arrange(make_run([make_cell()]), [make_cell(), make_cell("noprop")])
    assert view.unplanned == 1
    assert view.methods == ["backprop", "noprop"]
    assert not view.missing


def test_methods_are_grouped_by_how_credit_reaches_their_weights_in_the_order_of_the_plan() -> None:
    cells = [make_cell("noprop", credit="inside"), make_cell(credit="whole"), make_failed_cell("noprop[T=20]")]
    cells += [make_failed_cell("forward"), make_cell("noprop", "digits", credit="inside")]
    mnist, digits = arrange(make_run(cells), cells).datasets
    # What one cell of a class says holds for all of its cells, failed ones and those with options too.
    assert mnist.groups == {"inside": ["noprop", "noprop[T=20]"], "whole": ["backprop"], "unstated": ["forward"]}
    assert digits.groups == {"inside": ["noprop"]}


def test_rows_that_say_nothing_of_credit_are_in_no_groups() -> None:
    assert arrange(make_run(make_cells()), make_cells()).datasets[0].groups == {}


@pytest.mark.parametrize("text", ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00", "2026-03-01T12:00:00+02:00"])
def test_times_are_utc(text: str) -> None:
    assert parse_utc(text) == datetime(2026, 3, 1, 10, tzinfo=UTC)
