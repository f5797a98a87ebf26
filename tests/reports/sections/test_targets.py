"""What reaching a validation accuracy took: medians in which a miss is infinite, in three units."""

from __future__ import annotations

import pytest

from reports.sections import targets
from reports.view import DatasetView, arrange
from results.schema import CellResult
from tests.factories import make_cell, make_cells, make_config, make_run
from tests.reports.test_tables import column

SECONDS, IMAGES, FLOPS = targets.EFFORTS


def view_of(cells: list[CellResult]) -> DatasetView:
    return arrange(make_run(cells), cells).datasets[0]


def text_of(cells: list[CellResult]) -> str:
    run = arrange(make_run(cells), cells)
    return targets.section(run, run.datasets[0])


def table_of(cells: list[CellResult], effort: str) -> tuple[str, str]:
    """What is written above the table, and the table."""
    text = targets.table(view_of(cells), effort)
    assert text is not None
    title, table = text.split("\n\n")
    return title, table


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([30.0, 10.0, 20.0], "20.0 (3 of 3)"),
        ([30.0, None, 10.0], "30.0 (2 of 3)"),
        ([10.0, None, None], "∞ (1 of 3)"),
        ([None, None, None], "–"),
    ],
)
def test_misses_count_against_the_method(times: list[float | None], text: str) -> None:
    cells = [make_cell(seed=seed, seconds_to={"0.90": 5.0, "0.95": time}) for seed, time in enumerate(times)]
    assert column(table_of(cells, SECONDS)[1], "backprop", "95%") == text


def test_images_and_flops_are_medians_of_their_own() -> None:
    """A method that needs few images may need many operations."""
    images = [{"0.90": 1_000}, {"0.90": 3_000}, {"0.90": None}]
    cells = [make_cell(seed=k, images_to=to, train_flops_per_image=50e6) for k, to in enumerate(images)]
    title, table = table_of(cells, IMAGES)
    assert title == "Training images, each pass counted:"
    assert column(table, "backprop", "90%") == "3,000 (2 of 3)"
    title, table = table_of(cells, FLOPS)
    assert title == "Training FLOPs, GFLOP:"
    assert column(table, "backprop", "90%") == "150 (2 of 3)"  # 3,000 × 50 million


@pytest.mark.parametrize(
    ("each", "unit", "text"),
    [(1e3, "FLOP", "100,000"), (1e8, "GFLOP", "10.0"), (5e10, "TFLOP", "5.00"), (1e13, "PFLOP", "1.00")],
)
def test_the_unit_fits_the_largest_figure(each: float, unit: str, text: str) -> None:
    title, table = table_of([make_cell(images_to={"0.90": 100}, train_flops_per_image=each)], FLOPS)
    assert title == f"Training FLOPs, {unit}:"
    assert column(table, "backprop", "90%") == f"{text} (1 of 1)"


def test_a_cell_that_did_not_record_it_is_no_miss() -> None:
    cells = [
        make_cell(seed=0, images_to={"0.90": 500}, train_flops_per_image=1e9),
        make_cell(seed=1, images_to={"0.90": 500}, train_flops_per_image=None),
    ]
    assert column(table_of(cells, IMAGES)[1], "backprop", "90%") == "500 (2 of 2)"
    assert column(table_of(cells, FLOPS)[1], "backprop", "90%") == "500 (1 of 1)"


def test_there_is_no_table_where_nobody_arrived_and_that_is_said() -> None:
    nobody = make_cells(seconds_to={"0.90": None}, images_to={"0.90": None})
    assert [targets.table(view_of(nobody), effort) for effort in targets.EFFORTS] == [None] * 3
    assert "No method reached 90% validation accuracy, the lowest of the targets." in text_of(nobody)
    none_set = make_cells(seconds_to={}, images_to={})
    assert "No targets were recorded." in text_of(none_set)


@pytest.mark.parametrize(("every", "text"), [(1, "once per epoch"), (5, "every 5 epochs (`--eval-every`), so these")])
def test_how_often_accuracy_is_looked_at_is_said(every: int, text: str) -> None:
    config = make_config(eval_every=every)
    reading = text_of([make_cell(seconds_to={"0.90": 5.0}, config=config)])
    assert text in reading
    assert ("late by up to 4 epochs" in reading) == (every == 5)
