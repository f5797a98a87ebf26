"""Verdict: what the seeds show of each method against the reference, and what they cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import Markdown, code, listed, number
from reports.formats.prose import prose
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS, Measure, paired
from reports.statistics.tests import ALPHA, EXACT_UP_TO, least_p, seeds_needed
from reports.statistics.verdict import Comparison, compare_with_reference
from reports.view import DatasetView, RunView

ALIKE_PERCENT = 0.5
"""Amounts closer than this are called the same in words; the tables have the figures."""
TEXT = """
### Verdict

{{ sentences | bullets }}

Each method is compared with `{{ reference }}` on the same seeds. p is from the sign-flip permutation test (exact up to
{{ exact }} seeds) on paired differences (of logarithms, for ratios), after Holm's correction for the
{{ tests | plural("comparison") }} of this data set. A difference counts as shown if p ≤ {{ alpha }}
{%- if calibrated %} and it is larger than the noise of the machine{% endif %}.
{% if seeds >= needed %}A difference that is not shown may still exist.
{%- else %}With {{ seeds | plural("seed") }}, p cannot be below {{ least }} before the correction: to show any single
difference among so many comparisons, however large,
{% if needed > exact %}no number of seeds is enough{% else %}{{ needed }} seeds are needed{% endif %}.
{%- endif %}
{%- if sharing %} Times are left out: {{ sharing }}.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A sentence for each rival and how to read them; None where there is nothing to compare."""
    comparisons = compare_with_reference(data)
    if not comparisons:
        return None
    tests, seeds = len(comparisons), max(each.seeds for each in comparisons)
    return prose(
        TEXT,
        sentences=[_sentence(data, m, comparisons) for m in dict.fromkeys(each.method for each in comparisons)],
        reference=data.reference,
        exact=EXACT_UP_TO,
        tests=tests,
        alpha=f"{ALPHA:g}",
        calibrated=data.calibration is not None,
        seeds=seeds,
        needed=seeds_needed(tests),
        least=number(least_p(seeds)),
        sharing=data.sharing,
    )


def _sentence(data: DatasetView, method: str, comparisons: Sequence[Comparison]) -> str:
    ours = [each for each in comparisons if each.method == method]
    shown = [f"**{_words(each)}**" for each in ours if each.is_told_apart]
    noisy = [_words(each) for each in ours if each.is_within_noise]
    hidden = [_words(each) for each in ours if not (each.is_told_apart or each.is_within_noise)]
    parts = []
    if certain := [*_counted(data, method), *shown]:
        parts.append(listed(certain))
    if noisy:
        parts.append(f"no larger than a method differs from itself on this machine: {listed(noisy)}")
    if hidden:
        parts.append(f"not shown by these seeds: {listed(hidden)}")
    return f"{code(method)}: {'; '.join(parts)}."


def _counted(data: DatasetView, method: str) -> list[str]:
    """What is counted exactly, and so needs no test."""
    ratios = paired(data, ACTIVATIONS, method, str(data.reference))
    if not ratios:
        return []
    ratio = max(ratios)
    alike = ratio != 1 and 100 * abs(ratio - 1) < ALIKE_PERCENT
    words = f"{ACTIVATIONS.name} within {ALIKE_PERCENT:g}%" if alike else _ratio(ratio, ACTIVATIONS)
    return [f"**{words}** (counted exactly)"]


def _words(each: Comparison) -> str:
    p = f"(p = {number(each.p, 2)})" if each.p >= 0.001 else "(p < 0.001)"
    effect, measure = each.effect, each.measure
    if each.is_within_noise:
        return f"{measure.name} within noise {p}"
    if measure is TEST_ACCURACY:
        if effect == 0:
            return f"the same {measure.name} {p}"
        return f"{measure.name} {'higher' if effect > 0 else 'lower'} by {number(abs(effect), 2)} points {p}"
    if measure is TRAIN_SECONDS:
        return f"slower by {number(effect)}× {p}" if effect >= 1 else f"faster by {number(1 / effect)}× {p}"
    return f"{_ratio(effect, measure)} {p}"


def _ratio(ratio: float, measure: Measure) -> str:
    if ratio > 2:
        return f"{number(ratio)} times the {measure.name}"
    percent = 100 * abs(ratio - 1)
    if percent < ALIKE_PERCENT:
        return f"the same {measure.name}"
    return f"{number(percent, 2)}% {'less' if ratio < 1 else 'more'} {measure.name}"
