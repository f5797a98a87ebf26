"""The forest plot: what is in its frame, what is left out, and that odd numbers draw."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from reports.figures.differences import Differences
from reports.figures.memory import Memory
from reports.figures.style import MAX_DRAWN, method_styles
from reports.figures.trade_off import TradeOff
from reports.statistics.questions import findings
from reports.view import DatasetView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_cells, make_run


def view(cells: list[CellResult]) -> DatasetView:
    return arrange(make_run(cells), cells).datasets[0]


def frame_of(data: DatasetView) -> pd.DataFrame:
    frame = Differences().frame(data)
    assert frame is not None
    return frame


def test_the_frame_has_the_answers_by_question_and_family_the_most_accurate_first() -> None:
    data = view(make_cells(["forward", "backprop", "noprop", "noprop[T=20]"], seeds=range(3)))
    frame, found = frame_of(data), findings(data)
    assert frame["question"].unique().tolist() == ["accuracy", "time", "memory"]
    accuracy = frame[frame["question"] == "accuracy"]
    noprop = sorted(["noprop", "noprop[T=20]"], key=lambda method: found.rows.index(found.of(method)))
    assert accuracy["method"].tolist() == [*noprop, "forward"]
    for row in accuracy.to_dict("records"):
        judged = found.of(row["method"]).accuracy
        assert judged is not None
        assert judged.effect.alone is not None
        assert (row["value"], row["verdict"]) == (judged.effect.value, judged.verdict)
        assert row["interval_low"] == judged.effect.alone.low
    memory = frame[(frame["question"] == "memory") & (frame["method"] == "noprop")].iloc[0]
    assert memory["value"] == pytest.approx(memory["interval_low"]) == pytest.approx(memory["interval_high"])
    assert memory["margin_high"] == pytest.approx(1.05)


def test_without_a_reference_or_a_rival_there_is_no_figure(tmp_path: Path) -> None:
    for methods in (["noprop", "dfa"], ["backprop"]):
        data = view(make_cells(methods, seeds=[0]))
        assert Differences().write(data, tmp_path, method_styles(data.families, data.reference)) is None
    assert not list(tmp_path.iterdir())


def test_a_question_without_an_answer_has_no_panel() -> None:
    cells = [cell.model_copy(update={"train_seconds": None}) for cell in make_cells(seeds=range(2))]
    frame = frame_of(view(cells))
    assert frame["question"].unique().tolist() == ["accuracy", "memory"]
    assert Differences().layout(frame)[:2] == (1, 2)


def test_of_two_hundred_methods_the_best_of_each_family_are_drawn_and_the_rest_counted() -> None:
    many = [f"dfa[scale={k}]" for k in range(197)]
    data = view(make_cells(["backprop", *many, "noprop", "noprop-ct"], seeds=[0], epochs=1))
    frame = frame_of(data)
    assert frame["method"].nunique() == MAX_DRAWN
    assert {"noprop", "noprop-ct"} <= set(frame["method"])
    assert f"{199 - MAX_DRAWN} methods left out" in Differences().words(frame, data).caption


def test_gaps_of_a_hundred_points_and_intervals_without_end_are_drawn(tmp_path: Path) -> None:
    wild = {"noprop": (0.0, 1.0), "dfa": (0.1, 0.99), "local-loss": (0.98, 0.98)}
    cells = [make_cell("backprop", seed=seed, test_accuracy=1.0, train_seconds=1.0) for seed in (0, 1)]
    cells += [
        make_cell(
            method,
            seed=seed,
            test_accuracy=accuracies[seed],
            train_seconds=(1e-3, 1e4)[seed],
            activation_bytes=MIB * 10**index,
        )
        for index, (method, accuracies) in enumerate(wild.items())
        for seed in (0, 1)
    ]
    data = view(cells)
    frame = frame_of(data)
    assert frame["interval_high"].max() < math.inf
    figure = Differences().write(data, tmp_path, method_styles(data.families, data.reference))
    assert figure is not None
    assert "noprop −50.00 points" in figure.alt
    assert "logarithmic axis" in figure.caption
    with Image.open(tmp_path / figure.file) as image:
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100


def test_costs_of_nothing_and_of_infinitely_much_are_drawn_on_the_edges(tmp_path: Path) -> None:
    held = {"noprop": 0, "dfa": 5 * MIB}
    for reference in (50 * MIB, 0):
        cells = [make_cell("backprop", activation_bytes=reference)]
        cells += [make_cell(method, activation_bytes=held[method]) for method in held]
        data, styles = view(cells), method_styles(view(cells).families, "backprop")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn = [each.write(data, tmp_path, styles) for each in (Differences(), TradeOff(), Memory())]
        assert all(drawn)
        assert drawn[0] is not None
        assert "A triangle on a panel's edge" in drawn[0].caption
        assert ("∞ times the activation memory" in drawn[0].alt) == (reference == 0)
