"""How far apart a method's own runs lie on a machine, and whether a difference between two methods is within that.

A calibration runs the same work twice in several pairs (A/A). The logarithm of the ratio of a pair's two times has
expectation 0, and its root mean square over the pairs, `spread`, estimates its standard deviation with as many degrees
of freedom as there are pairs. A mean over n seeds spreads by 1 / √n of it, if the cells' errors are independent. A mean
ratio is *within noise* if its logarithm is nearer to 0 than the 97.5% quantile of Student's t times that. Over all
calibrations, 95 in 100 comparisons of a method with itself are expected to be; for one calibration of ten pairs it is
between 84 and 99.7 (its 5% and 95% points). The two cells of a pair run one right after the other, those of a sweep
farther apart, so a machine that drifts has more noise than this.
"""

from __future__ import annotations

import math

from reports.statistics.estimates import student_t
from results.schema import CalibrationRecord

MIN_PAIRS = 5
"""With fewer, the spread is known too badly: the bounds of two calibrations would differ by multiples."""


def noise_bound(calibration: CalibrationRecord | None, field: str, seeds: int) -> float | None:
    """The largest |log ratio| of means over `seeds` pairs that is within noise; None if nothing is known of it."""
    if calibration is None or calibration.pairs < MIN_PAIRS or field not in calibration.spread or seeds < 1:
        return None
    return student_t(calibration.pairs) * calibration.spread[field] / math.sqrt(seeds)


def is_noise(calibration: CalibrationRecord | None, field: str, ratio: float, seeds: int) -> bool:
    """Whether a method compared with itself gives such a ratio of means over `seeds` pairs."""
    bound = noise_bound(calibration, field, seeds)
    return bound is not None and ratio > 0 and abs(math.log(ratio)) <= bound
