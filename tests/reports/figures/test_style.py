"""Who is drawn how: families by hue, few methods highlighted, names that do not overlap, axes by the error."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from reports.figures.accuracy_axis import is_by_errors, scale_accuracies
from reports.figures.labels import folded, label_ends, label_heights, named_lines, spread
from reports.figures.selection import MAX_HIGHLIGHTED, highlighted, shown
from reports.figures.style import MAX_DRAWN, draw_lines, highlight, method_styles, new_figure, themed
from reports.view import DatasetView, Family, arrange, family_of
from tests.factories import make_cell, make_cells, make_run

METHODS = [
    *("backprop", "backprop-plain", "backprop-checkpoint", "noprop", "noprop-ct", "noprop-fm", "noprop[T=20]"),
    *("dfa", "forward-forward", "local-loss", "difference-target-propagation"),
]
FAMILIES = {method: family_of(method, "unstated") for method in METHODS}


def view(methods: list[str]) -> DatasetView:
    cells = make_cells(methods, seeds=[0], epochs=1)
    return arrange(make_run(cells), cells).datasets[0]


def hue(color: str) -> tuple[float, float]:
    h, _, s = colorsys.rgb_to_hls(*to_rgb(color))
    return 360 * h, s


def test_the_reference_is_black_backprop_grey_and_noprop_one_hue_that_no_other_has() -> None:
    styles = method_styles(FAMILIES, "backprop")
    assert to_rgb(styles["backprop"].color) == (0, 0, 0)
    for method, family in FAMILIES.items():
        angle, saturation = hue(styles[method].color)
        if family is Family.BACKPROP:
            assert saturation == 0
        else:
            assert (10 < angle < 40 and saturation > 0.6) == (family is Family.NOPROP)
    assert len({style.color for style in styles.values()}) == len(METHODS)


def test_methods_keep_their_look_whoever_comes_after_and_none_has_that_of_another() -> None:
    families = {f"m{index}": list(Family)[index % 3] for index in range(75)}
    styles = method_styles(families, None)
    assert len({(style.color, style.marker) for style in styles.values()}) == 75
    first = dict(itertools.islice(families.items(), 7))
    assert method_styles(first, None) == {method: styles[method] for method in first}


def test_at_most_six_are_highlighted_the_reference_noprop_and_one_rival_of_either_kind_among_them() -> None:
    found = highlighted(view(METHODS))
    assert found[:4] == ["backprop", "noprop", "noprop-ct", "noprop-fm"]
    assert {FAMILIES[method] for method in found[4:]} == {Family.BACKPROP, Family.OTHER}
    assert len(found) == MAX_HIGHLIGHTED
    assert set(highlighted(view(["noprop", "dfa"]))) == {"noprop", "dfa"}


def test_a_figure_with_too_many_methods_keeps_the_highlighted_ones_wherever_they_are_in_the_plan() -> None:
    data = view([*(f"dfa[scale={k}]" for k in range(2 * MAX_DRAWN)), "noprop", "backprop"])
    assert len(shown(data)) == MAX_DRAWN
    assert {"noprop", "backprop"} <= set(shown(data))


@pytest.mark.parametrize("count", [1, 2, 7, 15])
def test_spread_labels_keep_their_order_and_do_not_overlap(count: int) -> None:
    wanted = np.random.default_rng(count).normal(50, 5, count)
    heights = np.full(count, 6.0)
    heights[0] = 12.0
    centres = spread(wanted, heights.tolist(), 0, 100)
    order = np.argsort(wanted)
    gaps = np.diff(centres[order]) - (heights[order][1:] + heights[order][:-1]) / 2
    assert (gaps > -1e-9).all()
    assert (centres - heights / 2).min() > -1e-9
    assert (centres + heights / 2).max() < 100 + 1e-9
    assert spread([10.0, 90.0], [6, 6], 0, 100).tolist() == pytest.approx([10, 90])


@pytest.mark.parametrize("label", [label_ends, label_heights])
def test_only_highlighted_methods_are_named_and_their_names_do_not_overlap_when_drawn(label: object) -> None:
    styles = highlight(method_styles(FAMILIES, "backprop"), METHODS[:MAX_HIGHLIGHTED])
    rows = [(method, x, 97 + 0.01 * k * x) for k, method in enumerate(METHODS) for x in (1, 2)]
    with themed():
        figure, (panel,) = new_figure(1, 1, 3.0)
        draw_lines(panel, pd.DataFrame(rows, columns=["method", "x", "y"]), "x", "y", styles)
        label(panel, named_lines(panel, styles), styles)  # type: ignore[operator]
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in panel.texts]
    assert [text.get_text() for text in panel.texts] == METHODS[:MAX_HIGHLIGHTED]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_long_names_are_folded_and_lose_nothing() -> None:
    name = "noprop[T=20,features=flatten,eta=0.5,lr=0.001,sampler=replace]"
    assert folded("noprop[T=20]") == "noprop[T=20]"
    assert max(map(len, folded(name).split("\n"))) <= 34
    assert folded(name).replace("\n", "") == name


def test_an_axis_of_errors_has_ticks_at_accuracies_and_room_for_no_error() -> None:
    assert not is_by_errors(97.0, 98.0)
    assert not is_by_errors(20.0, 60.0)
    _, (panel,) = new_figure(1, 1, 3.0)
    scale_accuracies(panel, np.array([40.0]), np.array([100.0]), np.array([100.0]))
    assert panel.get_yticks().tolist() == [50, 80, 90, 95, 98, 99, 99.5, 100]
    heights = panel.transData.transform([(0, 90), (0, 95), (0, 97.5)])[:, 1]
    assert np.diff(heights).tolist() == pytest.approx([np.diff(heights).mean()] * 2, rel=0.1)


def test_a_failed_method_has_no_line_but_keeps_its_colour_for_others() -> None:
    cells = [make_cell("backprop", test_accuracy=0.9)]
    data = arrange(make_run([*cells, make_cell("noprop")]), cells).datasets[0]
    assert highlighted(data) == shown(data) == ["backprop"]
    assert set(method_styles(data.families, data.reference)) == {"backprop", "noprop"}
