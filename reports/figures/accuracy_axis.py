"""The axis of accuracies: by the logarithm of the error where they come near 100%, else linear."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from reports.figures.style import plain_numbers
from reports.statistics.outcome import unequal
from results.schema import CellResult

CROP_SPAN, CROP_MARGIN = 30.0, 10.0
"""Points of accuracy."""
FLOOR = "most_frequent_class_percent"
MIN_ERROR = 0.3
"""Percent, added to every error on the logarithmic axis of errors, so that an error of 0 has a place."""
NEAR_PERCENT, ERROR_SPREAD = 90.0, 3.0
"""By errors if the best accuracy is above the first and the largest error is that many times the smallest."""
ERROR_TICKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 100)
BY_ERRORS = " The axis of accuracies is logarithmic in the error: about one step up for each halving of the error."


def is_by_errors(low: float, high: float) -> bool:
    """Whether accuracies between these two are drawn by the logarithm of the error."""
    errors = (100 + MIN_ERROR - low, 100 + MIN_ERROR - high)
    return high >= NEAR_PERCENT and errors[0] >= ERROR_SPREAD * errors[1]


def scale_accuracies(panel: Axes, lows: np.ndarray, highs: np.ndarray, bests: np.ndarray) -> None:
    """Set scale, limits and ticks of the y axis.

    Args:
        panel: its y axis is in percent.
        lows: smallest value drawn, one or more per method.
        highs: largest value drawn.
        bests: best mean of each method.
    """
    low, high = float(np.min(lows)), float(np.max(highs))
    if is_by_errors(low, high):
        panel.set_yscale("function", functions=(_place, _accuracy_at))
        bottom, top = _accuracy_at(_place(np.array([low, high])) + np.array([-0.06, 0.06]))
        panel.set_ylim(max(bottom, -10.0), top)
        panel.set_yticks([tick for tick in ERROR_TICKS if bottom <= tick <= top])
        panel.yaxis.set_minor_locator(NullLocator())
        plain_numbers(panel.yaxis)
    else:
        panel.set_ylim(*accuracy_limits(lows, highs, bests)[:2])


def with_floor(frame: pd.DataFrame, cells: Iterable[CellResult]) -> pd.DataFrame:
    """Where classes are unequal, a column with the test accuracy of always naming the most frequent one, in percent."""
    known = unequal(cells)
    return frame.assign(**{FLOOR: 100 * (known.majority_share or 0.0)}) if known else frame


def draw_floor(panel: Axes, frame: pd.DataFrame) -> None:
    """A dotted line there; the axis is stretched down to it."""
    if FLOOR in frame:
        at = float(frame[FLOOR].iloc[0])
        panel.axhline(at, color="0.35", lw=1.2, ls=":", zorder=1.4)
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, at - 0.02 * (high - at)), max(high, at))


def floor_words(frame: pd.DataFrame) -> str:
    """What the caption says of it, with a space before it; "" if there is none."""
    return f" Dotted: always naming the most frequent class ({frame[FLOOR].iloc[0]:.1f}%)." if FLOOR in frame else ""


def accuracy_words(lows: np.ndarray, highs: np.ndarray, bests: np.ndarray) -> str:
    """What the caption says of such an axis, with a space before it; "" if there is nothing to say."""
    if is_by_errors(float(np.min(lows)), float(np.max(highs))):
        return BY_ERRORS
    low, _, cropped = accuracy_limits(lows, highs, bests)
    return f" Accuracies below {low:.0f}% are not shown." if cropped else ""


def accuracy_limits(lows: np.ndarray, highs: np.ndarray, bests: np.ndarray) -> tuple[float, float, bool]:
    """Limits in percent of an axis of accuracies, and whether some values lie below it.

    If the accuracies span more than `CROP_SPAN` points, the axis begins `CROP_MARGIN` points below the worst method's
    best mean: on an axis down to the chance level of the first epoch, methods a point apart look the same.

    Args:
        lows: smallest value drawn, one or more per method.
        highs: largest value drawn.
        bests: best mean of each method.
    """
    floor, ceiling = float(np.min(lows)), float(np.max(highs))
    cropped = ceiling - floor > CROP_SPAN and floor < float(np.min(bests)) - CROP_MARGIN
    if cropped:
        floor = float(np.min(bests)) - CROP_MARGIN
    margin = max(0.05 * (ceiling - floor), 0.25)
    return max(floor - (0 if cropped else margin), -1.0), min(ceiling + margin, 100 + margin / 2), cropped


def _place(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(100 + MIN_ERROR - accuracy, 1e-9))


def _accuracy_at(place: np.ndarray) -> np.ndarray:
    return 100 + MIN_ERROR - 10.0**-place
