"""Comparisons of methods, paired by seed and tested as one family: each against the reference, or each with each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from reports.statistics.estimates import estimate, ratio_estimate
from reports.statistics.measures import GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure, paired
from reports.statistics.noise import is_noise
from reports.statistics.tests import ALPHA, holm, sign_flip_ps
from reports.view import DatasetView


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of two methods on the seeds that both finished."""

    measure: Measure
    method: str
    other: str
    seeds: int
    effect: float
    """Test accuracy: the mean difference in points. Other measures: the geometric mean ratio. Method against other."""
    p: float
    """Corrected for the whole family."""
    is_within_noise: bool
    """Whether the machine's calibration shows as large an effect of a method against itself."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the seeds show a difference that the machine does not make by itself."""
        return self.p <= ALPHA and not self.is_within_noise

    @property
    def is_better(self) -> bool:
        """Whether the method has the higher accuracy, or the lower cost."""
        return self.effect > 0 if self.measure is TEST_ACCURACY else self.effect < 1


def compare_with_reference(data: DatasetView) -> list[Comparison]:
    """Every other method against the reference in each measure that varies by chance; no times if they are shared."""
    measures = [TEST_ACCURACY, *([] if data.sharing else [TRAIN_SECONDS]), RSS_RISE, GPU_ALLOCATED]
    reference = str(data.reference)
    return compare(data, ((measure, method, reference) for method in data.rivals for measure in measures))


def compare(data: DatasetView, questions: Iterable[tuple[Measure, str, str]]) -> list[Comparison]:
    """Compare pairs of methods: one comparison for each (measure, method, other) with a shared seed."""
    found, tests = [], []
    for measure, method, other in questions:
        effects = paired(data, measure, method, other)
        is_accuracy = measure is TEST_ACCURACY
        mean = estimate(effects) if is_accuracy else ratio_estimate(effects)
        if mean is not None:
            found.append((measure, method, other, mean.n, mean.mean))
            tests.append(effects if is_accuracy else [math.log(ratio) for ratio in effects if ratio > 0])
    corrected = holm(sign_flip_ps(tests))
    return [
        Comparison(measure, method, other, n, effect, p, is_noise(data.calibration, measure.field, effect, n))
        for (measure, method, other, n, effect), p in zip(found, corrected, strict=True)
    ]
