"""How far apart a method's own runs lie on the machine, and whether a difference between two methods is within that.

A calibration runs the same work twice in several pairs (A/A). The logarithm of the ratio of a pair's two times has
expectation 0 there, and the root mean square of it over the pairs, `spread`, estimates its standard deviation with as
many degrees of freedom as there are pairs. A mean over n seeds spreads by 1 / √n of it. A ratio of means is *within
noise* where its logarithm is nearer to 0 than the 97.5% quantile of Student's t times that: 95 in 100 comparisons of a
method with itself are.
"""

from __future__ import annotations

import math

from reports.stats import student_t
from results.schema import CalibrationRecord


def noise_bound(calibration: CalibrationRecord | None, field: str, seeds: int) -> float | None:
    """The largest |log ratio| of means over `seeds` pairs that is within noise; None where nothing is known of it."""
    if calibration is None or field not in calibration.spread or seeds < 1:
        return None
    return student_t(calibration.pairs) * calibration.spread[field] / math.sqrt(seeds)


def is_noise(calibration: CalibrationRecord | None, field: str, ratio: float, seeds: int) -> bool:
    """Whether a ratio of means over `seeds` pairs is what a method gives against itself."""
    bound = noise_bound(calibration, field, seeds)
    return bound is not None and ratio > 0 and abs(math.log(ratio)) <= bound
