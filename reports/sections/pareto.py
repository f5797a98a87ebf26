"""The Pareto front in words."""

from __future__ import annotations

from collections.abc import Iterator

from reports.formats.markdown import code, number
from reports.statistics.measures import TRAIN_SECONDS
from reports.statistics.pareto import COSTS, mean_points, pareto_front
from reports.view import DatasetView


def sentences(data: DatasetView) -> Iterator[str]:
    """One for each cost that was measured: the methods on its front; none if there is nothing to compare."""
    for cost, name in COSTS.items():
        points = mean_points(data, cost)
        if len(points) < 2 or (cost is TRAIN_SECONDS and data.sharing):
            continue
        front = pareto_front(points)
        yield (
            f"In test accuracy and {name} together, {len(front)} of {len(points)} methods "
            f"{'is' if len(front) == 1 else 'are'} not beaten by another: "
            + ", ".join(f"{code(method)} ({number(points[method][1], decimals=2)}%)" for method in front)
            + "."
        )
