"""Whether a run is worse than an older one, check by check: the rule.

A check is one measure of one method on one data set, over the seeds of both runs. It is a regression if the mean is
worse than the older run's by more than a limit that the user sets, *and* that is more than chance. It is more than
chance if one of these is true:

- The measure is counted exactly (activation bytes).
- There is only one seed. Nothing tells how much the measure varies, and the limit alone decides: better to look once
  too often than to let everything through. Such a check raises a false alarm as often as chance exceeds the limit.
- A test gives p <= `ALPHA` after Holm's correction for all tested checks, so the chance that two runs of the same thing
  differ in any of them is no more than that, however many methods there are. From `seeds_needed` seeds on it is the
  paired sign-flip test, which assumes no distribution. With fewer seeds that test can show nothing, so Student's t
  compares the two runs as two samples, which assumes normal ones. Without the pairs, two seeds have two degrees of
  freedom and three have four, instead of one and two. And this errs on the safe side: cells of the same seed can only
  be closer than others.
- *Every* seed is worse by more than `GROSS`. If training breaks down, it ends at 10% with one seed and at 60% with
  another; the wider that spread, the less can a test on a few seeds show, while any reader sees what happened.

A mean past its limit without any of these is `UNCLEAR`: more seeds would tell. So is one seed past its limit, if the
newer run's calibration gives as large a ratio for a method against itself (`noise.py`). Within the limit, such a ratio
is `WITHIN_NOISE`. "More than chance" says that there is a difference, not that it is larger than the limit.
The rule knows only the spread between seeds and, with a calibration, between cells of the same work one right after the
other; not what all cells of a run share, such as another load on the machine. How often the whole rule is wrong on two
runs of the same thing, with the noise of a real run, is simulated in the tests.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from reports.comparison.pairing import Pair
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.noise import is_noise
from reports.statistics.tests import ALPHA, holm, seeds_needed, sign_flip_p, two_sample_p
from results.schema import CalibrationRecord

MEASURES = (TEST_ACCURACY, TRAIN_SECONDS, RSS_RISE, ACTIVATIONS, GPU_ALLOCATED)
GROSS = {TEST_ACCURACY: 20.0, TRAIN_SECONDS: 100.0, RSS_RISE: 50.0, GPU_ALLOCATED: 50.0}
"""Worse by more than this with every seed is no chance: points of test accuracy, percent of everything else.

20 points: the most erratic method here (`noprop-ct` after 20 epochs of digits) has a standard deviation of 9 between
seeds, so two pairs of seeds both differ by that much once in 300 times.
"""


class Status(Enum):
    """The outcome of a check."""

    SAME = "same"
    """Equal with every seed."""
    WITHIN_NOISE = "within noise"
    """As far apart as the machine's calibration has a method from itself."""
    WITHIN = "within limit"
    """Not past the limit, and not shown to differ."""
    BETTER = "better"
    WORSE = "worse"
    """Shown to be worse, by less than the limit."""
    UNCLEAR = "unclear"
    """Past the limit, but by no more than chance may do with these seeds."""
    REGRESSION = "REGRESSION"
    LOST = "NOT MEASURED"
    """Measured in A and not in B."""
    NOT_JUDGED = "not judged"


FAILURES = (Status.REGRESSION, Status.LOST)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much worse is too much."""

    accuracy_drop: float = 1.0
    """Points of test accuracy."""
    slowdown: float = 10.0
    """Percent of training seconds."""
    memory: float = 5.0
    """Percent of activation bytes, of the increase of resident memory, and of peak GPU memory."""

    def of(self, measure: Measure) -> float:
        """The limit of one measure, in points or percent."""
        if measure is TEST_ACCURACY:
            return self.accuracy_drop
        return self.slowdown if measure is TRAIN_SECONDS else self.memory


@dataclass(frozen=True, slots=True)
class Check:
    """One measure of one method on one data set, in both runs."""

    dataset: str
    method: str
    measure: Measure
    limit: float
    """Points of test accuracy, or percent."""
    old: tuple[float, ...]
    """By seed, in the measure's unit."""
    new: tuple[float, ...]
    """Of the same seeds in the same order."""
    resolution: float = 0.0
    """The least by which two values can differ, in the measure's unit: one test image."""
    status: Status = Status.NOT_JUDGED
    reason: str = ""
    """Why it is not judged, or was not measured."""
    p: float | None = None
    """Corrected for all tests of the comparison; None for what needs no test."""
    calibration: CalibrationRecord | None = None
    """Of the machine on which all cells of both runs ran, if known."""

    @property
    def effects(self) -> list[float]:
        """B against A by seed: the difference in points of test accuracy, or the ratio."""
        if self.measure is TEST_ACCURACY:
            return [b - a for a, b in zip(self.old, self.new, strict=True)]
        return [b / a if a else (math.inf if b else 1.0) for a, b in zip(self.old, self.new, strict=True)]

    @property
    def losses(self) -> list[float]:
        """By how much B is worse by seed, in the limit's unit, rounded: 11 s is not more than 10% above 10 s."""
        is_accuracy = self.measure is TEST_ACCURACY
        return [round(-effect if is_accuracy else 100 * (effect - 1), 9) for effect in self.effects]

    @property
    def mean_loss(self) -> float:
        """By how much B is worse in the mean (geometric, of ratios), in the limit's unit, rounded likewise."""
        if self.measure is TEST_ACCURACY or self.measure.exact:
            return statistics.fmean(self.losses)
        return round(100 * (statistics.geometric_mean(self.effects) - 1), 9)

    @property
    def is_tested(self) -> bool:
        """Whether it is judged, varies by chance, and has the seeds to show how much."""
        return not (self.reason or self.measure.exact) and len(self.old) > 1


def check(pairs: Sequence[Pair], limits: Limits, calibration: CalibrationRecord | None = None) -> list[Check]:
    """All checks of the pairs, with status; measures that neither run has are left out.

    Args:
        pairs: what is compared.
        limits: how much worse is too much.
        calibration: the newer run's, if it has one. It counts for the pairs whose cells all ran under its conditions.
    """
    checks = [each for pair in pairs for each in _checks(pair, limits, calibration)]
    tested = [k for k, each in enumerate(checks) if each.is_tested]
    corrected = holm([_p(checks[k], len(tested)) for k in tested])
    for k, p in zip(tested, corrected, strict=True):
        checks[k] = replace(checks[k], p=p)
    return [each if each.reason else replace(each, status=_status(each)) for each in checks]


def _checks(pair: Pair, limits: Limits, calibration: CalibrationRecord | None) -> Iterator[Check]:
    """The checks of one pair, not judged yet."""
    known = calibration if calibration and calibration.covers([*pair.old, *pair.new]) else None
    n_test = next((cell.data.n_test for cell in pair.old if cell.data and cell.data.n_test), None)
    for measure in MEASURES:
        ours, theirs = measure.values(pair.old), measure.values(pair.new)
        if not ours and not theirs:
            continue
        seeds = [seed for seed in ours if seed in theirs]
        found = Check(
            dataset=pair.dataset,
            method=pair.method,
            measure=measure,
            limit=limits.of(measure),
            old=tuple(ours[seed] for seed in seeds),
            new=tuple(theirs[seed] for seed in seeds),
            resolution=100 / n_test if n_test and measure is TEST_ACCURACY else 0.0,
            calibration=known,
        )
        needs_ratio = not measure.exact and measure is not TEST_ACCURACY
        if obstacle := pair.obstacles.get(measure.field):
            yield replace(found, reason=obstacle)
        elif len(seeds) < len(ours):
            yield replace(found, status=Status.LOST, reason="measured in A and not in B")
        elif not seeds:
            yield replace(found, reason="not measured in A")
        elif needs_ratio and not all(0 < value < math.inf for value in (*found.old, *found.new)):
            yield replace(found, reason="0 or infinite with some seed, so there is no ratio to test")
        else:
            yield found


def _status(each: Check) -> Status:
    losses, mean = each.losses, each.mean_loss
    if not any(losses):
        return Status.SAME
    if each.measure.exact:
        most = max(losses)
        return Status.REGRESSION if most > each.limit else Status.WORSE if most > 0 else Status.BETTER
    is_shown = each.p is not None and each.p <= ALPHA
    is_gross = min(losses) > GROSS[each.measure]
    by_itself = is_noise(each.calibration, each.measure.field, 1 + mean / 100, len(losses))
    if mean > each.limit:
        is_alone = len(losses) == 1 and not by_itself
        return Status.REGRESSION if is_shown or is_alone or is_gross else Status.UNCLEAR
    if by_itself:
        return Status.WITHIN_NOISE
    if is_shown:
        return Status.WORSE if mean > 0 else Status.BETTER
    return Status.WITHIN


def _p(each: Check, tests: int) -> float:
    """Two-sided p, before the correction, of the hypothesis that both runs drew from the same distribution."""
    old, new = (
        values if each.measure is TEST_ACCURACY else tuple(map(math.log, values)) for values in (each.old, each.new)
    )
    if len(old) >= seeds_needed(tests):
        return sign_flip_p([b - a for a, b in zip(old, new, strict=True)])
    return two_sample_p(old, new, each.resolution)
