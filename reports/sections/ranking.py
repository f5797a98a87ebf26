"""Ranking: the place of each method in accuracy, time and memory, and the places that the seeds leave open to it."""

from __future__ import annotations

import math

from reports.formats.markdown import MISSING, Markdown, code, markdown_table
from reports.formats.prose import prose
from reports.statistics import measures as m
from reports.statistics.ranking import Place, places
from reports.statistics.tests import EXACT_UP_TO, seeds_needed
from reports.view import DatasetView, RunView

TEXT = """
### Ranking

{{ table }}

A place is 1 + the number of methods with a better mean over seeds. Where the seeds leave more than one place open, the
range is in brackets: the places above it are taken by methods shown to be better, those below it by methods shown to be
worse. The test is the verdict's, on paired seeds, with Holm's correction for all pairs of methods in the column. {{
exact }} is counted exactly and needs no test.
{% if told_apart %}Methods whose ranges overlap are not told apart, which does not show them to be equal.
{%- elif seeds >= needed %}No two methods are told apart here, which does not show them to be equal.
{%- else %}{{ seeds | plural("seed") | capitalize }} cannot tell any two of {{ data.drawn | length }} methods apart,
however large the difference (
{%- if needed <= exact_up_to %}{{ needed }} seeds could{% else %}nor could more: there are too many pairs{% endif %}),
so the order may be chance.
{%- endif %}
{%- if data.sharing %} Times are left out: {{ data.sharing }}.{% endif %}

{% if unranked %}Without a finished cell, and so without a place: {{ unranked | codes }}.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A table with the most accurate method first; None for one method or where credit assignment is not known."""
    memory = m.GPU_ALLOCATED if m.is_measured(data, m.GPU_ALLOCATED) else m.RSS_RISE
    measures = [m.TEST_ACCURACY, *([] if data.sharing else [m.TRAIN_SECONDS]), memory, m.ACTIVATIONS]
    columns = {measure: places(data, measure) for measure in measures if m.is_measured(data, measure)}
    if not data.credits or len(data.drawn) < 2 or not columns:
        return None
    first, *_ = columns.values()
    methods = sorted(data.drawn, key=lambda method: first[method].by_mean if method in first else math.inf)
    rows = [
        [code(each), data.credits[each], *(_text(found.get(each)) for found in columns.values())] for each in methods
    ]
    headers = ["method", "credit assignment", *(f"place in {measure.name}" for measure in columns)]
    varying = [found for measure, found in columns.items() if not measure.exact]
    return prose(
        TEXT,
        table=markdown_table(headers, rows, text_columns=2),
        exact=m.ACTIVATIONS.name.capitalize(),
        told_apart=any((p.first, p.last) != (1, len(found)) for found in varying for p in found.values()),
        seeds=max(map(len, data.finished.values())),
        needed=seeds_needed(len(data.drawn) * (len(data.drawn) - 1) // 2),
        exact_up_to=EXACT_UP_TO,
        data=data,
        unranked=[method for method in data.finished if method not in data.drawn],
    )


def _text(place: Place | None) -> str:
    if place is None:
        return MISSING
    return str(place.by_mean) + ("" if place.first == place.last else f" ({place.first}–{place.last})")
