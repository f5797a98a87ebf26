"""Whether a run is worse than an older one, figure by figure: the rule by which it is called so.

A figure is one measure of one method on one data set, over the seeds of both runs. It is a regression if its mean is
worse than the older run's by more than a limit that the user sets, *and* if that is more than chance. It counts as more
than chance if one of these holds:

- It is counted exactly (activation bytes).
- There is one seed only. Nothing then tells how much the figure varies, and the limit alone decides: better to look
  once too often than to let everything through. Such a check cries wolf as often as chance goes past the limit.
- A test gives p <= `ALPHA` after Holm's correction for all tested figures, so that the chance that two runs of the same
  thing have any of them called different is no more than that, however many methods there are. From
  `significance.seeds_needed` seeds on it is the paired sign-flip test, which assumes no distribution. With fewer seeds
  that can show nothing, and the seeds of the two runs are held against each other as two samples by Student's t, which
  assumes normal ones. Leaving the pairs out is no waste: with them, two seeds have one degree of freedom and three two,
  without them two and four. And it errs on the safe side, since cells of the same seed can only be closer than others.
- *Every* seed is worse by more than `GROSS`. Training that breaks down ends at 10% with one seed and at 60% with
  another, and the wider that spread, the less can a test on a few seeds show, while any reader sees what happened.

A mean past its limit that is none of these is `UNCLEAR`: more seeds would tell. So is the one seed past its limit whose
ratio the newer run's calibration gives for a method against itself (`noise.py`). Not past its limit, such a ratio is
`WITHIN_NOISE`. "More than chance" is that there is a difference at all, not that it is larger than the limit.
The rule knows no more than the spread between seeds and, with a calibration, between cells of the same work one right
after the other. What all cells of a run share, another load on the machine for instance, is in neither. How often the
whole rule is wrong on two runs of the same thing, with the noise of a real run, is simulated in the tests.
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
from reports.statistics.tests import ALPHA, holm, seeds_needed, sign_flip_p
from results.schema import CalibrationRecord

MEASURES = (TEST_ACCURACY, TRAIN_SECONDS, RSS_RISE, ACTIVATIONS, GPU_ALLOCATED)
RATIOS = (TRAIN_SECONDS, RSS_RISE, GPU_ALLOCATED)
"""Those that vary by chance and are compared by their ratio."""
GROSS = {TEST_ACCURACY: 20.0, TRAIN_SECONDS: 100.0, RSS_RISE: 50.0, GPU_ALLOCATED: 50.0}
"""Worse by more than this with every seed is no chance: points of test accuracy, percent of everything else.

20 points: the most erratic method here (`noprop-ct` after 20 epochs of digits) has a standard deviation of 9 between
seeds, so that two pairs of seeds both differ by that much once in 300 times.
"""


class Status(Enum):
    """What a figure came to."""

    SAME = "same"
    """Equal with every seed."""
    WITHIN_NOISE = "within noise"
    """As far apart as the machine's calibration has a method from itself."""
    WITHIN = "within limit"
    """Not past its limit, and not shown to differ."""
    BETTER = "better"
    WORSE = "worse"
    """Shown to be worse, by less than its limit."""
    UNCLEAR = "unclear"
    """Past its limit, and no more than these seeds may show by chance."""
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
    """Percent of activation bytes, of the rise of resident memory, and of peak GPU memory."""

    def of(self, measure: Measure) -> float:
        """The limit of one measure, in points or percent."""
        if measure is TEST_ACCURACY:
            return self.accuracy_drop
        return self.slowdown if measure is TRAIN_SECONDS else self.memory


@dataclass(frozen=True, slots=True)
class Figure:
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
    """Corrected for all tested figures of the check; None for what needs no test."""
    calibration: CalibrationRecord | None = None
    """Of the machine on which all cells of both runs ran, if one is known."""

    @property
    def effects(self) -> list[float]:
        """B against A by seed: the difference in points of test accuracy, or the ratio."""
        if self.measure is TEST_ACCURACY:
            return [b - a for a, b in zip(self.old, self.new, strict=True)]
        return [b / a if a else (math.inf if b else 1.0) for a, b in zip(self.old, self.new, strict=True)]

    @property
    def losses(self) -> list[float]:
        """By how much B is worse by seed, in the limit's unit, rounded: a tenth more is not past a limit of 10%."""
        if self.measure is TEST_ACCURACY:
            return [round(-effect, 9) for effect in self.effects]
        return [round(100 * (effect - 1), 9) for effect in self.effects]

    @property
    def mean_loss(self) -> float:
        """By how much B is worse in the mean (of ratios, the geometric one), in the limit's unit, rounded likewise."""
        if self.measure is TEST_ACCURACY or self.measure.exact:
            return statistics.fmean(self.losses)
        return round(100 * (statistics.geometric_mean(self.effects) - 1), 9)

    @property
    def is_tested(self) -> bool:
        """Whether it is judged, varies by chance, and has the seeds to show how much."""
        return not (self.reason or self.measure.exact) and len(self.old) > 1


def check(pairs: Sequence[Pair], limits: Limits, calibration: CalibrationRecord | None = None) -> list[Figure]:
    """Every figure of the pairs with its status; measures that neither run has are left out.

    Args:
        pairs: what is compared.
        limits: how much worse is too much.
        calibration: the newer run's, if it has one. It counts for the pairs whose cells all ran under its conditions.
    """
    figures = [figure for pair in pairs for figure in _figures(pair, limits, calibration)]
    tested = [k for k, figure in enumerate(figures) if figure.is_tested]
    corrected = holm([_p(figures[k], len(tested)) for k in tested])
    for k, p in zip(tested, corrected, strict=True):
        figures[k] = replace(figures[k], p=p)
    return [figure if figure.reason else replace(figure, status=_status(figure)) for figure in figures]


def _figures(pair: Pair, limits: Limits, calibration: CalibrationRecord | None) -> Iterator[Figure]:
    """The figures of one pair, not judged yet."""
    known = calibration if calibration and calibration.covers([*pair.old, *pair.new]) else None
    for measure in MEASURES:
        ours, theirs = measure.values(pair.old), measure.values(pair.new)
        if not ours and not theirs:
            continue
        seeds = [seed for seed in ours if seed in theirs]
        figure = Figure(
            dataset=pair.dataset,
            method=pair.method,
            measure=measure,
            limit=limits.of(measure),
            old=tuple(ours[seed] for seed in seeds),
            new=tuple(theirs[seed] for seed in seeds),
            resolution=_one_image(pair) if measure is TEST_ACCURACY else 0.0,
            calibration=known,
        )
        if obstacle := pair.obstacles.get(measure.field):
            yield replace(figure, reason=obstacle)
        elif len(seeds) < len(ours):
            yield replace(figure, status=Status.LOST, reason="measured in A and not in B")
        elif not seeds:
            yield replace(figure, reason="not measured in A")
        elif measure in RATIOS and not all(0 < value < math.inf for value in (*figure.old, *figure.new)):
            yield replace(figure, reason="0 or infinite with some seed, so that there is no ratio to test")
        else:
            yield figure


def _one_image(pair: Pair) -> float:
    """Points of test accuracy that one image is; 0 where the number of images is not known."""
    sizes = [cell.data.n_test for cell in pair.old if cell.data is not None and cell.data.n_test]
    return 100 / sizes[0] if sizes else 0.0


def _status(figure: Figure) -> Status:
    losses = figure.losses
    if not any(losses):
        return Status.SAME
    if figure.measure.exact:
        most = max(losses)
        return Status.REGRESSION if most > figure.limit else Status.WORSE if most > 0 else Status.BETTER
    mean = figure.mean_loss
    is_shown = figure.p is not None and figure.p <= ALPHA
    by_itself = is_noise(figure.calibration, figure.measure.field, 1 + mean / 100, len(losses))
    if mean > figure.limit:
        alone = len(losses) == 1 and not by_itself
        return Status.REGRESSION if is_shown or alone or _is_gross(figure) else Status.UNCLEAR
    if by_itself:
        return Status.WITHIN_NOISE
    if is_shown:
        return Status.WORSE if mean > 0 else Status.BETTER
    return Status.WITHIN


def _is_gross(figure: Figure) -> bool:
    return min(figure.losses) > GROSS[figure.measure]


def _p(figure: Figure, tests: int) -> float:
    """Two-sided p, before the correction, of the hypothesis that both runs drew from the same distribution."""
    old, new = (
        values if figure.measure is TEST_ACCURACY else tuple(map(math.log, values))
        for values in (figure.old, figure.new)
    )
    if len(old) >= seeds_needed(tests):
        return sign_flip_p([b - a for a, b in zip(old, new, strict=True)])
    return two_sample_p(old, new, figure.resolution)


def two_sample_p(old: Sequence[float], new: Sequence[float], resolution: float = 0.0) -> float:
    """Two-sided p of Student's t test for two samples of equal size and spread.

    Args:
        old: at least two values.
        new: as many.
        resolution: the least by which values can differ. Their standard deviation is taken to be no less: that two
            seeds get the same number of images right does not show that nothing varies.
    """
    from scipy.stats import ttest_ind_from_stats  # takes a while to import, which `--help` need not wait for

    n, means = len(old), (statistics.fmean(old), statistics.fmean(new))
    sd = max(resolution, math.sqrt((statistics.variance(old) + statistics.variance(new)) / 2))
    if sd == 0.0:
        return 1.0 if means[0] == means[1] else 0.0
    return float(ttest_ind_from_stats(means[0], sd, n, means[1], sd, n).pvalue)
