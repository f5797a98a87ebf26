"""In plain words, what a run shows of each method against the reference, and what its seeds cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from reports.formats.markdown import code, listed, number, plural
from reports.statistics.estimates import (
    Estimate,
    RatioEstimate,
    estimate,
    paired_differences,
    paired_ratios,
    ratio_estimate,
)
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS, Measure
from reports.statistics.noise import is_noise
from reports.statistics.tests import ALPHA, EXACT_UP_TO, holm, least_p, seeds_needed, sign_flip_ps
from reports.view import DatasetView

_NAMES = {
    "train_seconds": "training time",
    "rss_rise_bytes": "rise of memory",
    "gpu_peak_allocated_bytes": "GPU memory",
}
ALIKE_PERCENT = 0.5
"""Amounts closer than this are called the same in words; the tables have the figures."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method and one measure against the reference, paired by seed."""

    method: str
    measure: Measure
    seeds: int
    effect: float
    """Test accuracy: the mean difference, in points. Everything else: the geometric mean ratio."""
    p: float
    """Corrected for all comparisons of the data set."""
    is_within_noise: bool
    """Whether a method gives as much against itself on the machine, by its calibration."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the run's seeds show a difference, and one that the machine does not make by itself."""
        return self.p <= ALPHA and not self.is_within_noise


def compare(data: DatasetView, *, times: bool = True) -> list[Comparison]:
    """Every other method against the reference, in each measure that varies by chance.

    Args:
        data: the cells.
        times: whether times may be compared (not where cells shared the machine).
    """
    found: list[tuple[str, Measure, int, float]] = []
    tests: list[list[float]] = []
    for method in data.rivals:
        for measure in (TEST_ACCURACY, TRAIN_SECONDS, RSS_RISE, GPU_ALLOCATED):
            if measure is TRAIN_SECONDS and not times:
                continue
            mean, differences = paired_effect(data, measure, method, str(data.reference))
            if mean is not None:
                found.append((method, measure, mean.n, mean.mean))
                tests.append(differences)
    corrected = holm(sign_flip_ps(tests))
    return [
        Comparison(method, measure, n, effect, p, is_noise(data.calibration, measure.field, effect, n))
        for (method, measure, n, effect), p in zip(found, corrected, strict=True)
    ]


def paired_effect(
    data: DatasetView, measure: Measure, ours: str, theirs: str
) -> tuple[Estimate | RatioEstimate | None, list[float]]:
    """How one method compares with another on the seeds that both finished.

    Returns:
        The mean effect as in `Comparison` (None without a shared seed), and what is tested: a difference for each seed,
        of logarithms but for test accuracy.
    """
    a, b = (measure.values(data.finished[method]) for method in (ours, theirs))
    if measure is TEST_ACCURACY:
        differences = paired_differences(a, b)
        return estimate(differences), differences
    ratios = [ratio for ratio in paired_ratios(a, b) if ratio > 0]
    return ratio_estimate(ratios), [math.log(ratio) for ratio in ratios]


def section(data: DatasetView, *, sharing: str | None = None) -> Iterator[str]:
    """A sentence or two for each rival, and how to read them, as Markdown blocks; nothing without a reference.

    Args:
        data: the cells.
        sharing: why times are not to be compared, if so, as in `RunView.sharing`.
    """
    comparisons = compare(data, times=sharing is None)
    if not comparisons:
        return
    yield "### Verdict"
    judged = list(dict.fromkeys(each.method for each in comparisons))
    yield "\n".join(_sentence(data, method, comparisons) for method in judged)
    tests, seeds = len(comparisons), max(each.seeds for each in comparisons)
    enough = seeds_needed(tests)
    yield (
        f"Each is against {code(str(data.reference))} on the same seeds. p is that of the sign-flip permutation test "
        f"(exact up to {EXACT_UP_TO} seeds) on the paired differences (of logarithms, for ratios), after Holm's "
        f"correction for the {plural(tests, 'comparison')} of this data set; a difference counts as shown where "
        f"p ≤ {ALPHA:g}{', unless it is within noise' if data.calibration else ''}. "
        + (
            f"{plural(seeds, 'seed').capitalize()} can give no p below {number(least_p(seeds))} before the correction, "
            f"and {_needed(enough)} for any single difference to be shown, however large."
            if seeds < enough
            else "Differences that are not shown are not shown to be absent."
        )
        + ("" if sharing is None else f" Times are left out: {sharing}.")
    )


def _needed(seeds: int) -> str:
    if seeds > EXACT_UP_TO:
        return "there are too many comparisons here for any number of seeds to be enough"
    return f"{seeds} seeds would be needed here"


def _sentence(data: DatasetView, method: str, comparisons: list[Comparison]) -> str:
    ours = [each for each in comparisons if each.method == method]
    shown = [f"**{_words(each)}**" for each in ours if each.is_told_apart]
    noisy = [_words(each) for each in ours if each.is_within_noise]
    hidden = [_words(each) for each in ours if not (each.is_told_apart or each.is_within_noise)]
    counted = _counted(data, method)
    parts = []
    if counted or shown:
        parts.append(listed([*counted, *shown]))
    if noisy:
        parts.append(f"no larger than a method gives against itself on such a machine: {listed(noisy)}")
    if hidden:
        parts.append(f"not shown by these seeds: {listed(hidden)}")
    return f"- {code(method)}: {'; '.join(parts)}."


def _counted(data: DatasetView, method: str) -> list[str]:
    """What is counted exactly, and so needs no test."""
    ours, theirs = (ACTIVATIONS.values(data.finished[name]) for name in (method, str(data.reference)))
    ratios = paired_ratios(ours, theirs)
    if not ratios:
        return []
    ratio = max(ratios)
    alike = ratio != 1 and 100 * abs(ratio - 1) < ALIKE_PERCENT
    words = f"activation memory within {ALIKE_PERCENT:g}%" if alike else _more_or_less(ratio, "activation memory")
    return [f"**{words}** (counted exactly)"]


def _words(each: Comparison) -> str:
    p = f"(p = {number(each.p, 2)})" if each.p >= 0.001 else "(p < 0.001)"
    if each.is_within_noise:
        return f"{_NAMES[each.measure.field]} within noise {p}"
    if each.measure is TEST_ACCURACY:
        if each.effect == 0:
            return f"the same test accuracy {p}"
        return f"test accuracy {'higher' if each.effect > 0 else 'lower'} by {number(abs(each.effect), 2)} points {p}"
    if each.measure is TRAIN_SECONDS:
        faster = each.effect < 1
        return f"{'faster' if faster else 'slower'} by {number(1 / each.effect if faster else each.effect)}× {p}"
    return f"{_more_or_less(each.effect, 'GPU memory' if each.measure is GPU_ALLOCATED else 'rise of memory')} {p}"


def _more_or_less(ratio: float, of_what: str) -> str:
    if ratio > 2:
        return f"{number(ratio)} times the {of_what}"
    percent = 100 * abs(ratio - 1)
    if percent < ALIKE_PERCENT:
        return f"as much {of_what}"
    return f"{number(percent, 2)}% {'less' if ratio < 1 else 'more'} {of_what}"
