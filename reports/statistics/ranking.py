"""Which place each method takes in a measure, and which places the seeds leave open to it.

A place by mean alone would be over-read, so each has a range: from 1 + the methods shown to be better to the number of
methods - those shown to be worse. All pairs are tested as one family, so with 95% confidence all ranges of a measure
hold the true places together (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91, 2024).
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from reports.statistics.measures import TEST_ACCURACY, Measure
from reports.statistics.tests import seeds_needed
from reports.statistics.verdict import compare
from reports.view import DatasetView


@dataclass(frozen=True, slots=True)
class Place:
    """Where a method stands in one measure, 1 being best."""

    by_mean: int
    """1 + the methods with a better mean over their seeds; equal means share a place."""
    first: int
    last: int
    """The range that the seeds leave open; both are `by_mean` if the measure does not vary by chance."""


def places(data: DatasetView, measure: Measure) -> dict[str, Place]:
    """The place of every method that has the measure."""
    sign = -1 if measure is TEST_ACCURACY else 1
    values = {method: measure.values(data.finished[method]) for method in data.drawn}
    means = {method: sign * fmean(by_seed.values()) for method, by_seed in values.items() if by_seed}
    by_mean = {method: 1 + sum(other < mean for other in means.values()) for method, mean in means.items()}
    if measure.exact:
        return {method: Place(place, place, place) for method, place in by_mean.items()}
    shown = _shown_better(data, measure, list(means))
    better, worse = Counter(worse for _, worse in shown), Counter(better for better, _ in shown)
    return {
        # If methods finished different seeds, a mean may contradict what the shared seeds show.
        method: Place(place, min(place, 1 + better[method]), max(place, len(means) - worse[method]))
        for method, place in by_mean.items()
    }


def _shown_better(data: DatasetView, measure: Measure, methods: list[str]) -> list[tuple[str, str]]:
    """The pairs (better, worse) that the seeds tell apart."""
    pairs = list(itertools.combinations(methods, 2))
    seeds = {method: measure.values(data.finished[method]).keys() for method in methods}
    shared = [n for a, b in pairs if (n := len(seeds[a] & seeds[b]))]
    if max(shared, default=0) < seeds_needed(max(1, len(shared))):
        return []  # no difference could be shown, however large: skip the p values of maybe thousands of pairs
    return [
        (each.method, each.other) if each.is_better else (each.other, each.method)
        for each in compare(data, ((measure, a, b) for a, b in pairs))
        if each.is_told_apart
    ]
