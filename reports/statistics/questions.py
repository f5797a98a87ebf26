"""The three questions that a report answers, declared before the run: is it as accurate, what time and what memory?

Each is asked of every method against the reference. The methods of one question on one data set are one family: its
verdicts hold together with 95%. Further forms of inference of a training are a family of their own in accuracy, so that
asking for them costs the methods nothing. All else in a report is description.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from reports.statistics.accuracy import Answers, accuracy_effects, answers_of
from reports.statistics.costs import Costs, cost_effects
from reports.statistics.effect import Basis, Effect, Interval, Verdict
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, TEST_ACCURACY, TRAIN_SECONDS, Measure, is_measured
from reports.statistics.noise import is_disturbed, prior
from reports.statistics.race import race_effects
from reports.view import DatasetView, Family
from results.schema import CellResult


@dataclass(frozen=True, slots=True)
class Judged:
    """A method against the reference in one question."""

    effect: Effect
    """Percentage points of accuracy, or the logarithm of a ratio."""
    verdict: Verdict
    seeds_needed: int | None = None
    """How many seeds in all would decide what is undecided; None: decided, more than a hundred, or no number would."""
    needs_images: bool = False
    """Whether no number of seeds would decide what is undecided, since there are too few test images."""

    @property
    def ratio(self) -> float:
        """Of a cost: method / reference; 0 or infinite where one of them has none."""
        return math.exp(self.effect.value)

    @property
    def leaning(self) -> str:
        """Of an accuracy: `more` or `less` where undecided although its own interval rules out 0, else nothing."""
        alone = self.effect.alone
        if self.verdict is not Verdict.UNDECIDED or alone is None or alone.low <= 0 <= alone.high:
            return ""
        return "more" if alone.low > 0 else "less"


@dataclass(frozen=True, slots=True)
class Row:
    """A method and the answers to the three questions; each is None for the reference and where nothing is known."""

    method: str
    test_accuracy: float | None
    """Mean over seeds, in percent."""
    accuracy: Judged | None = None
    time: Judged | None = None
    memory: Judged | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """All answers on a data set."""

    rows: tuple[Row, ...]
    """Every method with a finished cell, the most accurate first."""
    raced: bool
    """Whether times are those of steps in turns (`bench.race`); else they are the cells' training times."""
    memory: Measure
    """What counts as memory."""
    costs: Costs | None
    """How the cells' training times were compared; None where the race's are."""

    def of(self, method: str) -> Row:
        """The row of a method."""
        return next(row for row in self.rows if row.method == method)

    def grouped(self, data: DatasetView) -> dict[str, list[str]]:
        """Methods by the name of their family, each family the most accurate first."""
        groups: dict[str, list[str]] = {}
        for family in Family:
            if methods := [row.method for row in self.rows if data.families[row.method] is family]:
                groups[family.value] = methods
        return groups


@cache
def findings(data: DatasetView, memory: Measure | None = None) -> Findings:
    """Ask the three questions of every method on a data set.

    Args:
        data: The data set.
        memory: What counts as memory; None: that of the GPU where it was measured, else that of activations.
    """
    memory = memory or (GPU_ALLOCATED if is_measured(data, GPU_ALLOCATED) else ACTIVATIONS)
    raced = data.race is not None and bool(data.race.methods)
    costs = None if raced or data.sharing or data.reference is None else _cells(data, TRAIN_SECONDS)
    by_question: tuple[dict[str, Judged], ...] = ({}, {}, {})
    if data.reference is not None:
        times = race_effects(data.race) if data.race is not None and raced else costs.effects if costs else {}
        time, space = math.log1p(data.margins.time), math.log1p(data.margins.memory)
        by_question = (
            _accuracies(data, data.reference),
            {method: _judge(effect, time, len(times)) for method, effect in times.items()},
            {method: _judge(effect, space) for method, effect in _memory(data, memory).items()},
        )
    rows = []
    for method in data.drawn:
        values = TEST_ACCURACY.values(data.finished[method]).values()
        mean = math.fsum(values) / len(values) if values else None
        rows.append(Row(method, mean, *(judged.get(method) for judged in by_question)))
    rows.sort(key=lambda row: -math.inf if row.test_accuracy is None else row.test_accuracy, reverse=True)
    return Findings(tuple(rows), raced, memory, costs)


def _judge(effect: Effect, margin: float, comparisons: int = 1, *, higher_is_better: bool = False) -> Judged:
    verdict = effect.verdict(margin, higher_is_better=higher_is_better)
    if verdict is not Verdict.UNDECIDED:
        return Judged(effect, verdict)
    return Judged(
        effect, verdict, effect.seeds_to_decide(margin, comparisons), effect.needs_images(margin, comparisons)
    )


def _accuracies(data: DatasetView, reference: str) -> dict[str, Judged]:
    """Each method's accuracy against the reference's."""
    answers = _answers(data)
    same_as = _same_as(data)
    judged: dict[str, Judged] = {}
    for further in (False, True):
        family = {m: each for m, each in answers.items() if m == reference or (m in same_as) is further}
        effects = accuracy_effects(family, reference) if reference in family else {}
        for method, effect in effects.items():
            judged[method] = _judge(effect, data.margins.accuracy_points, len(effects), higher_is_better=True)
    return judged


def _same_as(data: DatasetView) -> dict[str, str]:
    """Further forms of inference of a training, and the method that counts for it: the reference, or the first."""
    groups = [sorted(group, key=lambda method: method != data.reference) for group in data.shared_trainings]
    return {method: first for first, *others in groups for method in others}


def _answers(data: DatasetView) -> dict[str, Answers]:
    """What each method got right; no images where cells have answered different test sets."""
    is_alike = len({cell.data.fingerprint for cell in data.cells if cell.data is not None}) == 1
    found = {method: answers_of(data.finished[method]) for method in data.drawn}
    return {m: each if is_alike else replace(each, right={}) for m, each in found.items() if each.accuracy}


def _cells(data: DatasetView, measure: Measure) -> Costs:
    """Ratios of a cost that the machine's noise is in, from the cells; methods that share a training count once."""
    costs = {method: _positive(data.finished[method], measure) for method in data.drawn}
    same_as = _same_as(data)
    known = prior(data.calibration, measure.field)
    disturbed = {(cell.method, cell.seed) for cell in data.cells if is_disturbed(cell)}
    if not costs[str(data.reference)]:
        return Costs({}, None, 0, ())
    counted = {method: values for method, values in costs.items() if values and method not in same_as}
    found = cost_effects(counted, str(data.reference), disturbed, known)
    none = Effect(0.0, len(costs[str(data.reference)]), Basis.COUNTED, Interval(0.0, 0.0), Interval(0.0, 0.0))
    of_all = found.effects | {str(data.reference): none}
    same = {method: of_all[first] for method, first in same_as.items() if first in of_all}
    return replace(found, effects=found.effects | same)


def _memory(data: DatasetView, measure: Measure) -> dict[str, Effect]:
    """Ratios of memory: exact where it is counted or there is none, else from the cells."""
    found = {} if measure.exact else _cells(data, measure).effects
    theirs = measure.values(data.finished[str(data.reference)])
    for method in data.rivals:
        ours = measure.values(data.finished[method])
        if ours and theirs and (measure.exact or not (any(ours.values()) and any(theirs.values()))):
            value = _log_ratio(max(ours.values()), max(theirs.values()))  # counted alike for every seed
            at = Interval(value, value)
            found[method] = Effect(value, len(ours), Basis.COUNTED, at, at)
    return found


def _log_ratio(ours: float, theirs: float) -> float:
    """The logarithm of a ratio of what may be nothing: 0 where both are, and minus infinity where only ours is."""
    if ours == theirs:
        return 0.0
    return math.log(ours / theirs) if ours and theirs else math.inf if ours else -math.inf


def _positive(cells: list[CellResult], measure: Measure) -> dict[int, float]:
    return {seed: value for seed, value in measure.values(cells).items() if value > 0}
