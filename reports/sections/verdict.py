"""The verdict in words: what a run shows of each method against the reference, and what its seeds cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import code, listed, number, plural
from reports.statistics.estimates import paired_ratios
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS
from reports.statistics.tests import ALPHA, EXACT_UP_TO, least_p, seeds_needed
from reports.statistics.verdict import Comparison, compare_with_reference
from reports.view import DatasetView, RunView

_NAMES = {
    TEST_ACCURACY: "test accuracy",
    TRAIN_SECONDS: "training time",
    RSS_RISE: "peak memory increase",
    GPU_ALLOCATED: "GPU memory",
}
ALIKE_PERCENT = 0.5
"""Amounts closer than this are called the same in words; the tables have the numbers."""


def section(run: RunView, data: DatasetView) -> str | None:
    """A sentence or two for each method, and how to read them; None without a reference or another method."""
    comparisons = compare_with_reference(data)
    if not comparisons:
        return None
    judged = dict.fromkeys(each.method for each in comparisons)
    sentences = [_sentence(data, method, [each for each in comparisons if each.method == method]) for method in judged]
    return "\n\n".join(["### Verdict", "\n".join(sentences), _how_to_read(data, comparisons)])


def _how_to_read(data: DatasetView, comparisons: Sequence[Comparison]) -> str:
    tests, seeds = len(comparisons), max(each.seeds for each in comparisons)
    enough = seeds_needed(tests)
    if seeds >= enough:
        power = "A difference that is not shown may still exist."
    else:
        needed = f"{enough} seeds are needed" if enough <= EXACT_UP_TO else "no number of seeds is enough"
        power = (
            f"With {plural(seeds, 'seed')}, p cannot be below {number(least_p(seeds))} before the correction: to show "
            f"any single difference among so many comparisons, however large, {needed}."
        )
    return (
        f"Each method is compared with {code(str(data.reference))} on the same seeds. p is from the sign-flip "
        f"permutation test (exact up to {EXACT_UP_TO} seeds) on paired differences (of logarithms, for ratios), after "
        f"Holm's correction for the {plural(tests, 'comparison')} of this data set. A difference counts as shown if "
        f"p ≤ {ALPHA:g}{' and it is larger than the noise of the machine' if data.calibration else ''}. {power}"
        + (f" Times are left out: {data.sharing}." if data.sharing else "")
    )


def _sentence(data: DatasetView, method: str, comparisons: Sequence[Comparison]) -> str:
    shown = [f"**{_words(each)}**" for each in comparisons if each.is_told_apart]
    noisy = [_words(each) for each in comparisons if each.is_within_noise]
    hidden = [_words(each) for each in comparisons if not (each.is_told_apart or each.is_within_noise)]
    parts = []
    if certain := [*_counted(data, method), *shown]:
        parts.append(listed(certain))
    if noisy:
        parts.append(f"no larger than a method differs from itself on this machine: {listed(noisy)}")
    if hidden:
        parts.append(f"not shown by these seeds: {listed(hidden)}")
    return f"- {code(method)}: {'; '.join(parts)}."


def _counted(data: DatasetView, method: str) -> list[str]:
    """Activation memory, which is counted exactly and needs no test."""
    ours, theirs = (ACTIVATIONS.values(data.finished[name]) for name in (method, str(data.reference)))
    ratio = max(paired_ratios(ours, theirs), default=None)
    if ratio is None:
        return []
    alike = ratio != 1 and 100 * abs(ratio - 1) < ALIKE_PERCENT
    words = f"activation memory within {ALIKE_PERCENT:g}%" if alike else _more_or_less(ratio, "activation memory")
    return [f"**{words}** (counted exactly)"]


def _words(each: Comparison) -> str:
    effect, name = each.effect, _NAMES[each.measure]
    p = f"(p = {number(each.p, 2)})" if each.p >= 0.001 else "(p < 0.001)"
    if each.is_within_noise:
        return f"{name} within noise {p}"
    if each.measure is TEST_ACCURACY:
        if effect == 0:
            return f"the same test accuracy {p}"
        return f"test accuracy {'higher' if effect > 0 else 'lower'} by {number(abs(effect), 2)} points {p}"
    if each.measure is TRAIN_SECONDS:
        return f"faster by {number(1 / effect)}× {p}" if effect < 1 else f"slower by {number(effect)}× {p}"
    return f"{_more_or_less(effect, name)} {p}"


def _more_or_less(ratio: float, of_what: str) -> str:
    if ratio > 2:
        return f"{number(ratio)} times the {of_what}"
    percent = 100 * abs(ratio - 1)
    if percent < ALIKE_PERCENT:
        return f"as much {of_what}"
    return f"{number(percent, 2)}% {'less' if ratio < 1 else 'more'} {of_what}"
