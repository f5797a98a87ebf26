"""How seeds are shown: their mean, the range from the least to the most, and a few of them one by one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.view import DatasetView

MAX_DOTS = 10
"""Up to this many seeds are shown one by one; more would hide the mean."""
MEAN = "mean"
"""In the column `seed` of a frame: the row is a mean over seeds."""
BAND = "Lines: mean over seeds. Bands: from the least to the most (not a confidence interval)."


def over_seeds(rows: pd.DataFrame, by: Sequence[str], column: str, names: Sequence[str]) -> pd.DataFrame:
    """A row for each combination of `by`, in order of first occurrence: mean, least and most, under these names."""
    found = rows.groupby(list(by), sort=False)[column].agg(["mean", "min", "max"]).reset_index()
    return found.set_axis([*by, *names], axis="columns")


def with_few_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods whose seeds are shown one by one."""
    return rows[rows.groupby("method")["seed"].transform("nunique").between(2, MAX_DOTS)]


def most_seeds(data: DatasetView) -> int:
    """The number of seeds of the method that has the most."""
    return max(map(len, data.finished.values()))


def spread_note(data: DatasetView, mean: str, spread: str) -> str:
    """What the marks of a figure say of the seeds."""
    if most_seeds(data) == 1:
        return "One seed per method."
    dots = f"; dots: single seeds (up to {MAX_DOTS})" if most_seeds(data) <= MAX_DOTS else ""
    return f"{mean}: mean over seeds; {spread}{dots}."
