"""What a referee and an engineer ask, answered from rows."""

from __future__ import annotations

from pathlib import Path

from reports.overview.overview import Overview
from reports.overview.referee import answers
from reports.overview.sources import read_sources
from results.grid import GridPoint, GridRecord, write_grid
from results.schema import CellResult
from tests.factories import make_cell, make_cells, make_run, write_run
from tests.reports.overview.test_pooling import source


def test_who_was_still_learning_at_the_end_is_said_where_it_is_known() -> None:
    def with_end(cell: CellResult, last: float) -> CellResult:
        epochs = [each.model_copy(update={"val_accuracy": last if each.epoch == 5 else 0.5}) for each in cell.epochs]
        return cell.model_copy(update={"epochs": epochs})

    cells = [with_end(each, 0.7 if each.method == "noprop" else 0.501) for each in make_cells(["backprop", "noprop"])]
    asked = answers(Overview([source("run", *cells)], [], Path()))[-1]
    assert "on mnist (5 epochs) (the paper has 100 epochs), 1 of 2 trainings was still learning" in asked
    assert asked.endswith(": `noprop` (+20.0 points).")
    short = make_cells(["backprop", "noprop"], epochs=3)
    assert "too few epochs were validated" in answers(Overview([source("run", *short)], [], Path()))[-1]


def test_what_another_learning_rate_would_bring_is_told_where_it_was_varied(tmp_path: Path) -> None:
    accuracies = {0.001: {"backprop": 0.90, "noprop": 0.95}, 0.01: {"backprop": 0.93, "noprop": 0.80}}
    rows = [
        make_cell(f"{method}[lr={rate}]", test_accuracy=None, val_accuracy=accuracy)
        for rate, by_method in accuracies.items()
        for method, accuracy in by_method.items()
    ]
    points = [
        GridPoint(method=cell.method.partition("[")[0], value=float(cell.method[:-1].partition("=")[2]), cell=cell)
        for cell in make_run(rows).cells
    ]
    folder = write_run(tmp_path / "rates", rows)
    (folder / "run.json").unlink()
    record = GridRecord(created_at="2026-03-01", commands=["bench.tune"], setting="lr", default=0.001, points=points)
    write_grid(folder, record)
    write_run(tmp_path / "run", make_cells())
    page = Overview(*read_sources(sorted(tmp_path.iterdir())), tmp_path)
    said = "validation images of mnist, `noprop` is at its best at the default 0.001 and `backprop` would gain 3.0"
    assert f"{said} points at 0.01, the end of what was tried, (1 seed; `rates`)" in answers(page)[2]


def test_what_training_and_inference_take_is_told_of_the_controls_too() -> None:
    counts = {"backprop": (10e6, 3e6), "noprop": (9e6, 3e6), "backprop-plain": (1e6, 0.25e6)}
    cells = [
        make_cell(method, train_flops_per_image=train, predict_flops_per_image=predict)
        for method, (train, predict) in counts.items()
    ]
    said = answers(Overview([source("run", *cells)], [], Path()))[3]
    assert "NoProp needs 0.900 times the operations of `backprop` in training and `backprop-plain` 0.100" in said
    assert "takes 3.00 MFLOP (`noprop`), 3.00 MFLOP (`backprop`) and 0.250 MFLOP (`backprop-plain`)" in said


def test_memory_is_told_of_the_whole_process_too() -> None:
    cells = [make_cell("backprop", rss_rise_bytes=100 * 2**20), make_cell("noprop", rss_rise_bytes=40 * 2**20)]
    assert "on mnist (5 epochs) 0.400 (`noprop`)" in answers(Overview([source("run", *cells)], [], Path()))[4].replace(
        "On", "on"
    )


def test_the_controls_that_are_there_are_named() -> None:
    cells = make_cells(["backprop", "noprop", "backprop-plain"])
    assert "On mnist (5 epochs) there is `backprop-plain`." in answers(Overview([source("run", *cells)], [], Path()))[5]
