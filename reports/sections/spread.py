"""Spread over seeds: standard deviations of whatever varies by chance."""

from __future__ import annotations

import math

from reports.formats.markdown import Markdown, alike, code, markdown_table
from reports.formats.prose import prose
from reports.statistics import measures as m
from reports.statistics.estimates import estimate
from reports.view import DatasetView, RunView

MEASURES = (m.TEST_ACCURACY, m.VAL_ACCURACY, m.TRAIN_SECONDS, m.RSS_RISE, m.GPU_ALLOCATED)
TEXT = """
### Spread over seeds

{{ table }}

Sample standard deviations: how far single seeds lie from their mean. (± in the other tables says how well the mean
itself is known.) Quantities that are counted exactly do not vary and are left out.
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The table; None where no method has two seeds."""
    table = spread_table(data)
    return table and prose(TEXT, table=table)


def spread_table(data: DatasetView) -> Markdown | None:
    """A row for each method with at least two values of any measure."""
    measures = [measure for measure in MEASURES if m.is_measured(data, measure)]
    deviations = {}
    for method, cells in data.finished.items():
        found = [estimate(measure.values(cells).values()) for measure in measures]
        if any(each is not None and each.sd is not None for each in found):
            deviations[method] = [math.nan if each is None or each.sd is None else each.sd for each in found]
    if not deviations:
        return None
    by_measure = zip(measures, zip(*deviations.values(), strict=True), strict=True)
    columns = [alike(column, decimals=measure.decimals) for measure, column in by_measure]
    seeds = [str(len(data.finished[method])) for method in deviations]
    headers = ["method", "seeds", *(measure.header.replace("%", "points") for measure in measures)]
    return markdown_table(headers, zip(map(code, deviations), seeds, *columns, strict=True))
