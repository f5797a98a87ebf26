"""The Pareto front: the methods that no other beats in accuracy and in a cost together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.view import DatasetView

COSTS = (TRAIN_SECONDS, ACTIVATIONS, GPU_ALLOCATED)
"""What accuracy is set against."""


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names whose points no other point beats, by rising cost.

    A point beats another if it is no worse in both and better in one, so equal points do not beat each other.

    Args:
        points: (cost, gain) by name; less of the first and more of the second is better.
    """

    def is_beaten(point: tuple[float, float]) -> bool:
        return any(cost <= point[0] and gain >= point[1] and (cost, gain) != point for cost, gain in points.values())

    return sorted((name for name, point in points.items() if not is_beaten(point)), key=lambda name: points[name])


def seed_points(data: DatasetView, methods: Iterable[str], cost: Measure) -> dict[str, dict[int, tuple[float, float]]]:
    """(cost, test accuracy in percent) by method and seed, in order of seed, for the seeds that have both."""
    points = {}
    for method in methods:
        costs, accuracies = (measure.values(data.finished[method]) for measure in (cost, TEST_ACCURACY))
        if seeds := sorted(costs.keys() & accuracies.keys()):
            points[method] = {seed: (costs[seed], accuracies[seed]) for seed in seeds}
    return points


def mean_points(data: DatasetView, cost: Measure) -> dict[str, tuple[float, float]]:
    """(mean cost, mean test accuracy in percent) by method, over the seeds that have both."""
    return {
        method: (fmean(cost for cost, _ in seeds.values()), fmean(accuracy for _, accuracy in seeds.values()))
        for method, seeds in seed_points(data, data.drawn, cost).items()
    }
