"""The Pareto front against the definition, and what is said of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reports.sections.pareto import fronts
from reports.statistics.measures import TRAIN_SECONDS
from reports.statistics.pareto import mean_points, pareto_front
from reports.view import DatasetView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_run


def view_of(cells: list[CellResult]) -> DatasetView:
    return arrange(make_run(cells), cells).datasets[0]


def test_a_dear_method_stands_only_if_it_is_more_accurate_than_all_cheaper_ones() -> None:
    points = {"dear": (9.0, 99.0), "useless": (8.0, 90.0), "cheap": (1.0, 80.0), "fair": (3.0, 95.0)}
    assert pareto_front(points) == ["cheap", "fair", "dear"]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ({"a": (1.0, 90.0), "b": (1.0, 90.0)}, ["a", "b"]),
        ({"a": (1.0, 90.0), "b": (1.0, 91.0)}, ["b"]),
        ({"a": (1.0, 90.0), "b": (2.0, 90.0)}, ["a"]),
        ({"a": (1.0, 90.0)}, ["a"]),
        ({}, []),
    ],
    ids=["equal in both", "equal cost", "equal accuracy", "one", "none"],
)
def test_ties(points: dict[str, tuple[float, float]], front: list[str]) -> None:
    assert pareto_front(points) == front


def test_nobody_on_the_front_is_beaten_and_everybody_else_is_beaten_by_somebody_on_it() -> None:
    chance = np.random.default_rng(0)
    for _ in range(50):
        points = {str(k): (float(c), float(a)) for k, (c, a) in enumerate(chance.integers(0, 6, size=(12, 2)))}
        front = pareto_front(points)

        def beaten_by(name: str, rivals: list[str], points: dict[str, tuple[float, float]] = points) -> bool:
            cost, gain = points[name]
            return any(
                (c < cost and g >= gain) or (c <= cost and g > gain) for c, g in (points[rival] for rival in rivals)
            )

        assert not any(beaten_by(name, list(points)) for name in front)
        assert all(beaten_by(name, front) for name in points if name not in front)


def test_means_are_over_the_seeds_that_have_both() -> None:
    cells = [make_cell(seed=k, test_accuracy=a, train_seconds=s) for k, (a, s) in enumerate([(0.9, 10.0), (0.8, 20.0)])]
    cells.append(make_cell(seed=2, test_accuracy=0.1).model_copy(update={"train_seconds": None}))
    assert mean_points(view_of(cells), TRAIN_SECONDS) == {"backprop": (15.0, pytest.approx(85.0))}


def cells_of(**methods: tuple[float, float, int]) -> list[CellResult]:
    return [
        make_cell(name, test_accuracy=accuracy, train_seconds=seconds, activation_bytes=held * MIB)
        for name, (accuracy, seconds, held) in methods.items()
    ]


def test_the_front_of_each_cost_is_named_cheapest_first() -> None:
    data = view_of(cells_of(backprop=(0.99, 20.0, 50), noprop=(0.98, 21.0, 5), forward=(0.90, 9.0, 6)))
    assert fronts(data) == [
        "In test accuracy and training time together, 2 of 3 methods are not beaten by another: "
        "`forward` (90.00%), `backprop` (99.00%).",
        "In test accuracy and activation memory together, 2 of 3 methods are not beaten by another: "
        "`noprop` (98.00%), `backprop` (99.00%).",
    ]
    (only,) = fronts(dataclasses.replace(data, sharing="cells ran 2 at a time"))
    assert "training time" not in only


def test_one_method_has_nothing_to_be_compared_with() -> None:
    assert fronts(view_of(cells_of(backprop=(0.99, 20.0, 50)))) == []
