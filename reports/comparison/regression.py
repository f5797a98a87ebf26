"""Whether a run is worse than an older one, check by check: the rule.

A check is one measure of one method on one data set, over the seeds of both runs. It is a regression if the mean is
worse than the older run's by more than a limit that the user sets, *and* that is more than chance. It is more than
chance if one of these is true:

- The measure is counted exactly (activation bytes).
- Nothing tells how much the measure varies: there is one seed and no calibration. Then the limit alone decides: better
  to look once too often than to let everything through. Such a check raises a false alarm as often as chance exceeds
  the limit.
- The 95% bound that holds for all methods of the data set together is worse than no change. For costs the noise is that
  of all methods (`costs.cost_changes`), for accuracy mostly the method's own (`accuracy.accuracy_changes`). The seeds
  of a cost must agree as well as that noise lets expect, so that no single disturbed cell is called a regression.
- *Every* seed is worse by more than `GROSS`. If training breaks down, it ends at 10% with one seed and at 60% with
  another; the wider that spread, the less can a bound on a few seeds show, while any reader sees what happened.

A mean past its limit without any of these is `UNCLEAR`: more seeds would tell. "More than chance" says that there is a
difference, not that it is larger than the limit. Times of cells that were disturbed in either run do not count, and a
method that has no others is not judged. The rule knows the spread between cells, not what all cells of a run share,
such as another load on the machine all the time. How often it is wrong where the truth is known: `reports/README.md`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from reports.comparison.pairing import Pair
from reports.statistics.accuracy import accuracy_changes, answers_of
from reports.statistics.costs import cost_changes
from reports.statistics.effect import Basis, Effect
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.noise import DISTURBED_SHARE, is_disturbed, prior
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

    pair: Pair
    measure: Measure
    limit: float
    """Points of test accuracy, or percent."""
    old: dict[int, float]
    """By seed, in the measure's unit."""
    new: dict[int, float]
    """Of the same seeds."""
    left_out: tuple[int, ...] = ()
    """Seeds that do not count, for what the monitor or their distance from the others says."""
    effect: Effect | None = None
    """B against A: points, or the logarithm of the ratio; None for what is exact or not judged."""
    status: Status = Status.NOT_JUDGED
    reason: str = ""
    """Why it is not judged, or was not measured."""

    @property
    def key(self) -> tuple[str, str]:
        """Data set and method."""
        return self.pair.dataset, self.pair.method

    @property
    def ratios(self) -> dict[int, float]:
        """B / A by seed."""
        return {seed: b / a if (a := self.old[seed]) else (math.inf if b else 1.0) for seed, b in self.new.items()}

    @property
    def losses(self) -> list[float]:
        """By how much B is worse by seed, in the limit's unit, rounded: 11 s is not more than 10% above 10 s."""
        if self.measure is TEST_ACCURACY:
            return [round(self.old[seed] - b, 9) for seed, b in self.new.items()]
        return [round(100 * (ratio - 1), 9) for ratio in self.ratios.values()]

    @property
    def mean_loss(self) -> float:
        """By how much B is worse in the mean (geometric, of ratios), in the limit's unit, rounded likewise."""
        if self.effect is None:
            return statistics.fmean(self.losses)
        value = self.effect.value
        return round(-value if self.measure is TEST_ACCURACY else 100 * math.expm1(value), 9)


def check(pairs: Sequence[Pair], limits: Limits, calibration: CalibrationRecord | None = None) -> list[Check]:
    """All checks of the pairs, with status; measures that neither run has are left out.

    Args:
        pairs: what is compared.
        limits: how much worse is too much.
        calibration: the newer run's, if it has one. It counts for the data sets whose cells all ran under its
            conditions.
    """
    checks = [each for pair in pairs for each in _checks(pair, limits)]
    families: dict[tuple[str, Measure], list[Check]] = {}
    for each in checks:
        if not (each.reason or each.measure.exact):
            families.setdefault((each.pair.dataset, each.measure), []).append(each)
    found = {(each.key, each.measure): each for family in families.values() for each in _estimated(family, calibration)}
    checks = [found.get((each.key, each.measure), each) for each in checks]
    return [each if each.reason else replace(each, status=_status(each)) for each in checks]


def _checks(pair: Pair, limits: Limits) -> Iterator[Check]:
    """The checks of one pair, not judged yet."""
    for measure in MEASURES:
        ours, theirs = measure.values(pair.old), measure.values(pair.new)
        if not ours and not theirs:
            continue
        seeds = [seed for seed in ours if seed in theirs]
        old, new = ({seed: values[seed] for seed in seeds} for values in (ours, theirs))
        found = Check(pair, measure, limits.of(measure), old, new)
        needs_ratio = not measure.exact and measure is not TEST_ACCURACY
        if obstacle := pair.obstacles.get(measure.field):
            yield replace(found, reason=obstacle)
        elif len(seeds) < len(ours):
            yield replace(found, status=Status.LOST, reason="measured in A and not in B")
        elif not seeds:
            yield replace(found, reason="not measured in A")
        elif needs_ratio and not all(0 < value < math.inf for value in (*old.values(), *new.values())):
            yield replace(found, reason="0 or infinite with some seed, so there is no ratio to test")
        elif measure is TRAIN_SECONDS and set(seeds) <= _disturbed(pair):
            yield replace(found, reason=f"others took more than {DISTURBED_SHARE:.0%} of the cores beside every cell")
        else:
            yield found


def _disturbed(pair: Pair) -> set[int]:
    """Seeds of which the machine disturbed the cell of either run."""
    return {cell.seed for cell in (*pair.old, *pair.new) if is_disturbed(cell)}


def _estimated(family: list[Check], calibration: CalibrationRecord | None) -> Iterator[Check]:
    """The checks of one measure on one data set with their effects, and without the seeds that do not count."""
    measure, pairs = family[0].measure, {each.pair.method: each.pair for each in family}
    if measure is TEST_ACCURACY:
        effects = accuracy_changes({name: (answers_of(p.old), answers_of(p.new)) for name, p in pairs.items()})
        for each in family:
            effect = effects[each.pair.method]
            if effect.basis is Basis.IMAGES:  # of one seed; another may differ by more than the test images tell
                effect = replace(effect, alone=None, family=None)
            yield replace(each, effect=effect)
        return
    cells = [cell for pair in pairs.values() for cell in (*pair.old, *pair.new)]
    known = prior(calibration, measure.field) if calibration and calibration.covers(cells) else None
    slow = {(name, seed) for name, pair in pairs.items() for seed in _disturbed(pair)}
    costs = cost_changes(
        {each.pair.method: each.ratios for each in family}, slow if measure is TRAIN_SECONDS else (), known
    )
    for each in family:
        out = tuple(seed for name, seed in costs.left_out if name == each.pair.method)
        old, new = ({seed: v for seed, v in values.items() if seed not in out} for values in (each.old, each.new))
        yield replace(each, old=old, new=new, left_out=out, effect=costs.effects[each.pair.method])


def _status(each: Check) -> Status:
    losses, mean = each.losses, each.mean_loss
    if not any(losses):
        return Status.SAME
    if each.effect is None:
        most = max(losses)
        return Status.REGRESSION if most > each.limit else Status.WORSE if most > 0 else Status.BETTER
    family = each.effect.family
    is_shown = family is not None and family.excludes_zero()
    if mean > each.limit:
        if each.measure is not TEST_ACCURACY:
            is_shown = each.effect.rises_past(math.log1p(each.limit / 100))
        is_certain = is_shown or family is None or min(losses) > GROSS[each.measure]
        return Status.REGRESSION if is_certain else Status.UNCLEAR
    if is_shown:
        return Status.WORSE if mean > 0 else Status.BETTER
    return Status.WITHIN
