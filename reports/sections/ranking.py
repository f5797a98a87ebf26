"""Which place each method takes in accuracy, time and memory, and which places the seeds leave open to it.

Places by mean would be read as more than they are, so each has a range: from 1 + the methods shown to be better to the
number of methods - those shown to be worse. Any two methods are tested as in the verdict, with Holm's correction for
all pairs, so that with 95% confidence all ranges of a measure hold the true places together (Mogstad, Romano, Shaikh
and Wilhelm, Review of Economic Studies 91, 2024).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from reports.formats.markdown import MISSING, code, codes, markdown_table, plural
from reports.sections.verdict import paired_effect
from reports.statistics.measures import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    Measure,
    is_measured,
)
from reports.statistics.noise import is_noise
from reports.statistics.tests import ALPHA, EXACT_UP_TO, holm, seeds_needed, sign_flip_ps
from reports.view import DatasetView

_NAMES = {
    "test_accuracy": "place in test accuracy",
    "train_seconds": "in training time",
    "rss_rise_bytes": "in rise of memory",
    "gpu_peak_allocated_bytes": "in GPU memory",
    "activation_bytes": "in activations",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a method stands in one measure, 1 being best."""

    by_mean: int
    """1 + the methods with a better mean over their seeds; equal means share a place."""
    first: int
    last: int
    """The places that the seeds leave open to it; both are `by_mean` where the measure does not vary by chance."""


def places(data: DatasetView, measure: Measure) -> dict[str, Place]:
    """The place of every method that has the measure."""
    found = {method: measure.values(data.finished[method]).values() for method in data.drawn}
    sign = -1 if measure is TEST_ACCURACY else 1
    means = {method: sign * fmean(values) for method, values in found.items() if values}
    by_mean = {method: 1 + sum(other < mean for other in means.values()) for method, mean in means.items()}
    if measure.exact:
        return {method: Place(place, place, place) for method, place in by_mean.items()}
    shown = _shown_better(data, measure, list(means))
    found_places = {}
    for method, place in by_mean.items():
        better = sum(worse == method for _, worse in shown)
        worse = sum(better == method for better, _ in shown)
        # Where methods finished other seeds than one another, a mean may contradict what shared seeds show.
        found_places[method] = Place(place, min(place, 1 + better), max(place, len(means) - worse))
    return found_places


def section(data: DatasetView, *, sharing: str | None = None) -> Iterator[str]:
    """A table with the most accurate method first and how to read it; nothing for one method or a run without credits.

    Args:
        data: the cells.
        sharing: why times are not to be compared, if so, as in `RunView.sharing`.
    """
    if not data.credits or len(data.drawn) < 2:
        return
    memory = GPU_ALLOCATED if is_measured(data, GPU_ALLOCATED) else RSS_RISE
    measures = [TEST_ACCURACY, *([TRAIN_SECONDS] if sharing is None else []), memory, ACTIVATIONS]
    columns = {measure: places(data, measure) for measure in measures if is_measured(data, measure)}
    if not columns:
        return
    first, *_ = columns.values()
    rows = [
        [code(method), data.credits[method], *(_text(found.get(method)) for found in columns.values())]
        for method in sorted(data.drawn, key=lambda method: first[method].by_mean if method in first else math.inf)
    ]
    yield "### Ranking"
    yield markdown_table(
        ["method", "how credit reaches the weights", *(_NAMES[measure.field] for measure in columns)],
        rows,
        text_columns=2,
    )
    yield (
        "A place is 1 + the number of methods with a better mean over seeds. In brackets are the places that the seeds "
        "leave open, where it is more than one: places above them are taken by methods shown to be better, places "
        "below them by methods shown to be worse, by the verdict's test on paired seeds, with Holm's correction for "
        "all pairs of methods in the column. Activations are counted exactly and need no test. "
        + _what_seeds_can_tell(data, columns)
        + ("" if sharing is None else f" Times are left out: {sharing}.")
    )
    if unranked := [method for method in data.finished if method not in data.drawn]:
        yield f"Without a finished cell, and so without a place: {codes(unranked)}."


def _shown_better(data: DatasetView, measure: Measure, methods: list[str]) -> list[tuple[str, str]]:
    """The pairs (better, worse) that the seeds tell apart."""
    pairs, effects, tests = [], [], []
    for ours, theirs in itertools.combinations(methods, 2):
        effect, differences = paired_effect(data, measure, ours, theirs)
        if effect is not None:
            pairs.append((ours, theirs))
            effects.append(effect)
            tests.append(differences)
    if max(map(len, tests), default=0) < seeds_needed(max(1, len(tests))):
        return []  # however large the differences: no need to work out the p of hundreds of pairs
    shown = []
    for (ours, theirs), effect, test, p in zip(pairs, effects, tests, holm(sign_flip_ps(tests)), strict=True):
        if p <= ALPHA and not is_noise(data.calibration, measure.field, effect.mean, effect.n):
            is_ours = (sum(test) > 0) == (measure is TEST_ACCURACY)
            shown.append((ours, theirs) if is_ours else (theirs, ours))
    return shown


def _text(place: Place | None) -> str:
    if place is None:
        return MISSING
    return str(place.by_mean) + ("" if place.first == place.last else f" ({place.first}–{place.last})")


def _what_seeds_can_tell(data: DatasetView, columns: Mapping[Measure, Mapping[str, Place]]) -> str:
    ranked, seeds = len(data.drawn), max(len(cells) for cells in data.finished.values())
    needed = seeds_needed(ranked * (ranked - 1) // 2)
    varying = [found for measure, found in columns.items() if not measure.exact]
    if any((place.first, place.last) != (1, len(found)) for found in varying for place in found.values()):
        return "Methods whose places overlap are not told apart, which does not show them to be equal."
    if seeds >= needed:
        return "No two methods are told apart here, which does not show them to be equal."
    enough = f"{needed} seeds could" if needed <= EXACT_UP_TO else "nor could more: there are too many pairs"
    return (
        f"{plural(seeds, 'seed').capitalize()} cannot tell any two of {ranked} methods apart, however large the "
        f"difference ({enough}), so the order may be chance."
    )
