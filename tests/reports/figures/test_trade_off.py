"""The figure of accuracy against cost: which axis it has, and what it says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reports.figures.accuracy_axis import FLOOR, draw_floor, scale_accuracies
from reports.figures.figure import FigureFile
from reports.figures.style import method_styles
from reports.figures.trade_off import TradeOff
from reports.view import arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_cells, make_data, make_run

SHARING = "cells ran 2 at a time"


def drawn(cells: list[CellResult], folder: Path, *, sharing: str | None = None) -> FigureFile | None:
    data = dataclasses.replace(arrange(make_run(cells), cells).datasets[0], sharing=sharing)
    return TradeOff().write(data, folder, method_styles(data.families, data.reference))


@pytest.mark.parametrize(("best", "worst", "by_errors"), [(0.985, 0.97, False), (1.0, 0.4, True), (1.0, 0.0, True)])
def test_accuracies_far_apart_are_on_an_axis_of_errors_even_where_one_has_none(
    best: float, worst: float, by_errors: bool, tmp_path: Path
) -> None:
    accuracies = {"backprop": best, "noprop": 0.98, "forward": worst}
    figure = drawn([make_cell(name, test_accuracy=each) for name, each in accuracies.items()], tmp_path)
    assert figure is not None
    assert ("logarithmic in the error" in figure.caption) == by_errors
    with Image.open(tmp_path / figure.file) as image:
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100


def test_gpu_memory_has_a_panel_and_a_front_of_its_own(tmp_path: Path) -> None:
    plain = drawn(make_cells(seeds=range(2)), tmp_path)
    assert plain is not None
    assert "GPU" not in plain.alt
    figure = drawn(make_cells(seeds=range(2), gpu_peak_allocated_bytes=300 * MIB), tmp_path)
    assert figure is not None
    assert "peak GPU memory: backprop." in figure.alt


def test_times_of_cells_that_shared_the_machine_have_no_front(tmp_path: Path) -> None:
    cells = make_cells(seeds=range(2))
    figure = drawn(cells, tmp_path, sharing=SHARING)
    assert figure is not None
    assert "training time: " not in figure.alt
    assert "activation memory: noprop, backprop." in figure.alt
    assert "No front is drawn in time, since cells ran 2 at a time." in figure.caption
    bare = drawn([cell.model_copy(update={"activation_bytes": None}) for cell in cells], tmp_path, sharing=SHARING)
    assert bare is not None
    assert "Pareto front, by cost: not judged." in bare.alt


def test_cells_without_accuracy_or_without_any_cost_have_no_figure(tmp_path: Path) -> None:
    assert drawn([make_cell().model_copy(update={"test_accuracy": None})], tmp_path) is None
    free = {"train_seconds": None, "activation_bytes": None}
    assert drawn([make_cell().model_copy(update=free)], tmp_path) is None


def test_where_one_class_is_most_of_the_images_naming_it_is_drawn(tmp_path: Path) -> None:
    cells = [
        make_cell(name, test_accuracy=accuracy, data=make_data(num_classes=2, majority_share=0.95))
        for name, accuracy in {"backprop": 0.97, "noprop": 0.952}.items()
    ]
    figure = drawn(cells, tmp_path)
    assert figure is not None
    assert "Dotted: always naming the most frequent class (95.0%)." in figure.caption
    assert set(pd.read_csv((tmp_path / figure.file).with_suffix(".csv"))["most_frequent_class_percent"]) == {95.0}
    even = drawn(make_cells(), tmp_path)
    assert even is not None
    assert "most frequent" not in even.caption


def test_an_axis_of_errors_ends_at_100_even_where_one_class_is_nearly_all() -> None:
    panel = matplotlib.figure.Figure().subplots()
    scale_accuracies(panel, np.array([60.0]), np.array([99.0]), np.array([99.0]))
    draw_floor(panel, pd.DataFrame({FLOOR: [99.9]}))
    assert panel.get_ylim()[1] == 99.9
