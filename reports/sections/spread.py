"""Spread over seeds: standard deviations of whatever varies by chance."""

from __future__ import annotations

import math

from reports.formats.markdown import Markdown, alike, code, markdown_table
from reports.formats.prose import prose
from reports.statistics.estimates import estimate
from reports.statistics.measures import (
    GPU_ALLOCATED,
    RSS_RISE,
    TEST_ACCURACY,
    TRAIN_SECONDS,
    VAL_ACCURACY,
    is_measured,
)
from reports.view import DatasetView, RunView

MEASURES = (TEST_ACCURACY, VAL_ACCURACY, TRAIN_SECONDS, RSS_RISE, GPU_ALLOCATED)
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
    measures = [measure for measure in MEASURES if is_measured(data, measure)]
    deviations = {
        method: [each.sd if each else None for each in (estimate(m.values(cells).values()) for m in measures)]
        for method, cells in data.finished.items()
    }
    several = {method: found for method, found in deviations.items() if any(sd is not None for sd in found)}
    if not several:
        return None
    columns = [
        alike([math.nan if sd is None else sd for sd in column], decimals=measure.decimals)
        for measure, column in zip(measures, zip(*several.values(), strict=True), strict=True)
    ]
    seeds = [str(len(data.finished[method])) for method in several]
    headers = ["method", "seeds", *(measure.header.replace("%", "points") for measure in measures)]
    return markdown_table(headers, zip(map(code, several), seeds, *columns, strict=True))
