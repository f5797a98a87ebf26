"""What the machine does by itself: the load of others, and how far apart a method's own runs lie.

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

from reports.statistics.costs import Prior
from reports.statistics.estimates import student_t
from results.schema import CalibrationRecord, CellResult

MIN_PAIRS = 5
"""With fewer, the spread is known too badly: the bounds of two calibrations would differ by multiples."""
DISTURBED_SHARE = 0.05
"""A cell is called disturbed where others took more than this share of the cores that it might have used."""


def prior(calibration: CalibrationRecord | None, field: str) -> Prior | None:
    """What a calibration knows of the spread of one cell's figure; a pair has two cells."""
    if calibration is None or calibration.pairs < MIN_PAIRS or field not in calibration.spread:
        return None
    return Prior(calibration.spread[field] / math.sqrt(2), calibration.pairs)


def noise_bound(calibration: CalibrationRecord | None, field: str, seeds: int) -> float | None:
    """The largest |log ratio| of means over `seeds` pairs that is within noise; None if nothing is known of it."""
    if calibration is None or calibration.pairs < MIN_PAIRS or field not in calibration.spread or seeds < 1:
        return None
    return student_t(calibration.pairs) * calibration.spread[field] / math.sqrt(seeds)


def is_noise(calibration: CalibrationRecord | None, field: str, ratio: float, seeds: int) -> bool:
    """Whether a method compared with itself gives such a ratio of means over `seeds` pairs."""
    bound = noise_bound(calibration, field, seeds)
    return bound is not None and ratio > 0 and abs(math.log(ratio)) <= bound


def disturbance(cell: CellResult) -> float | None:
    """The share of the cores that other processes and other guests took while the cell trained; None: not known."""
    machine = cell.machine
    if machine is None or machine.foreign_cores is None:
        return None
    return (machine.foreign_cores + (machine.steal_cores or 0.0)) / cell.environment.cores


def is_disturbed(cell: CellResult) -> bool:
    """Whether foreign load may have made the cell's times longer."""
    share = disturbance(cell)
    return share is not None and share > DISTURBED_SHARE
