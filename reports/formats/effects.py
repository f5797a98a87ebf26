"""Effects in words: a difference in points, or a ratio, each with its 95% interval."""

from __future__ import annotations

import math
from dataclasses import replace

from reports.formats.markdown import number
from reports.statistics.effect import Effect, Interval

_MAX_LOG = 700.0
"""Beyond exp of this there is no such number, and nobody reads it."""


def points(effect: Effect) -> str:
    """`−0.20 (−1.00 to +0.60)`; no end lies beyond 100 points."""
    text = number(effect.value, decimals=2, signed=True)
    if effect.alone is not None:
        low, high = max(effect.alone.low, -100.0), min(effect.alone.high, 100.0)
        text += f" ({number(low, decimals=2, signed=True)} to {number(high, decimals=2, signed=True)})"
    return text


def ratio(effect: Effect) -> str:
    """`1.08 (1.05 to 1.12)`, or `0.101` where nothing varies; `∞` where the reference has nothing."""
    text = number(math.exp(effect.value))
    if effect.alone is not None and effect.alone.low < effect.alone.high:
        low, high = (number(math.exp(min(end, _MAX_LOG))) for end in (effect.alone.low, effect.alone.high))
        text += f" ({low} to {high})"
    return text


def inverse(effect: Effect) -> Effect:
    """The effect of the reference against the method: a ratio becomes its reciprocal."""
    ends = None if effect.alone is None else Interval(-effect.alone.high, -effect.alone.low)
    return replace(effect, value=-effect.value, alone=ends)
