"""The ranking in words: the place of each method in accuracy, time and memory, most accurate method first."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reports.formats.markdown import MISSING, code, codes, markdown_table, plural
from reports.statistics.measures import (
    ACTIVATIONS,
    GPU_ALLOCATED,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    Measure,
    is_measured,
)
from reports.statistics.ranking import Place, places
from reports.statistics.tests import EXACT_UP_TO, seeds_needed
from reports.view import DatasetView, RunView

_HEADERS = {
    TEST_ACCURACY: "place in test accuracy",
    TRAIN_SECONDS: "in training time",
    RSS_RISE: "in peak memory increase",
    GPU_ALLOCATED: "in GPU memory",
    ACTIVATIONS: "in activations",
}


def section(run: RunView, data: DatasetView) -> str | None:
    """A table and how to read it; None with one method, or if no row of the run names a credit assignment."""
    left_out = {TRAIN_SECONDS if data.sharing else None, RSS_RISE if is_measured(data, GPU_ALLOCATED) else None}
    measures = [measure for measure in _HEADERS if measure not in left_out and is_measured(data, measure)]
    if not data.credits or len(data.drawn) < 2 or not measures:
        return None
    columns = {measure: places(data, measure) for measure in measures}
    first = columns[measures[0]]
    methods = sorted(data.drawn, key=lambda method: first[method].by_mean if method in first else math.inf)
    table = markdown_table(
        ["method", "credit assignment", *(_HEADERS[measure] for measure in measures)],
        [[code(m), data.credits[m], *(_text(found.get(m)) for found in columns.values())] for m in methods],
        text_columns=2,
    )
    how_to_read = (
        "A place is 1 + the number of methods with a better mean over seeds. Where the seeds leave more than one place "
        "open, the range is in brackets: the places above it are taken by methods shown to be better, those below it "
        "by methods shown to be worse. The test is the verdict's, on paired seeds, with Holm's correction for all "
        "pairs of methods in the column. Activations are counted exactly and need no test. "
        + _what_seeds_can_tell(data, columns)
        + (f" Times are left out: {data.sharing}." if data.sharing else "")
    )
    unranked = [method for method in data.finished if method not in data.drawn]
    note = f"Without a finished cell, and so without a place: {codes(unranked)}."
    return "\n\n".join(["### Ranking", table, how_to_read, *([note] if unranked else [])])


def _text(place: Place | None) -> str:
    if place is None:
        return MISSING
    return str(place.by_mean) + ("" if place.first == place.last else f" ({place.first}–{place.last})")


def _what_seeds_can_tell(data: DatasetView, columns: Mapping[Measure, Mapping[str, Place]]) -> str:
    ranked, seeds = len(data.drawn), max(len(cells) for cells in data.finished.values())
    needed = seeds_needed(ranked * (ranked - 1) // 2)
    varying = [found for measure, found in columns.items() if not measure.exact]
    if any((place.first, place.last) != (1, len(found)) for found in varying for place in found.values()):
        return "Methods whose ranges overlap are not told apart, which does not show them to be equal."
    if seeds >= needed:
        return "No two methods are told apart here, which does not show them to be equal."
    enough = f"{needed} seeds could" if needed <= EXACT_UP_TO else "nor could more: there are too many pairs"
    return (
        f"{plural(seeds, 'seed').capitalize()} cannot tell any two of {ranked} methods apart, however large the "
        f"difference ({enough}), so the order may be chance."
    )
