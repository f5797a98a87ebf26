"""Which learning rate of a sweep is a method's best by validation accuracy, and how far the default is from it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.statistics.estimates import DIFFERENCES, Estimate, estimate, paired_differences
from reports.statistics.measures import VAL_ACCURACY
from results.schema import CellResult


@dataclass(frozen=True, slots=True)
class BestRate:
    """A method's best rate."""

    rate: float
    accuracy: float
    """Mean validation accuracy there, in percent."""
    gain: Estimate | None
    """Points above the default rate, paired by seed; None where no cell at the default has finished."""
    is_end: bool
    """Whether it is the lowest or the highest rate tried, so that one beyond may be better still."""


def best_rate(cells: Mapping[float, Sequence[CellResult]], default: float | None) -> BestRate | None:
    """The rate with the highest mean among those at which most seeds finished; the default in a tie. None: all failed.

    Args:
        cells: Finished cells by rate.
        default: The rate that is used where nobody varies it; None: there is none.
    """
    most = max(map(len, cells.values()), default=0)
    if most == 0:
        return None
    by_rate = {rate: VAL_ACCURACY.values(found) for rate, found in cells.items()}
    means = {rate: statistics.fmean(found.values()) for rate, found in by_rate.items() if len(found) == most}
    best = max(means, key=lambda rate: (means[rate], rate == default))
    gain = estimate(paired_differences(by_rate[best], by_rate.get(default, {}) if default else {}), limits=DIFFERENCES)
    return BestRate(best, means[best], gain, best in (min(cells), max(cells)))
