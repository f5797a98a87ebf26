"""Verdict: what the seeds show of each method against the reference, and what they cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import Markdown, code, listed, number
from reports.formats.prose import prose
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS, paired
from reports.statistics.tests import ALPHA, EXACT_UP_TO, least_p, seeds_needed
from reports.statistics.verdict import Comparison, compare_with_reference
from reports.view import DatasetView, RunView

ALIKE_PERCENT = 0.5
"""Amounts closer than this are called the same in words; the tables have the figures."""
TEXT = """
### Verdict

{{ sentences | bullets }}

Each method is compared with `{{ data.reference }}` on the same seeds. p is from the sign-flip permutation test (exact
up to {{ exact }} seeds) on paired differences (of logarithms, for ratios), after Holm's correction for the {{ tests |
plural("comparison") }} of this data set. A difference counts as shown if p ≤ {{ alpha }}
{%- if data.calibration %} and it is larger than the noise of the machine{% endif %}.
{% if seeds >= needed %}A difference that is not shown may still exist.
{%- else %}With {{ seeds | plural("seed") }}, p cannot be below {{ least }} before the correction: to show any single
difference among so many comparisons, however large,
{% if needed > exact %}no number of seeds is enough{% else %}{{ needed }} seeds are needed{% endif %}.
{%- endif %}
{%- if data.sharing %} Times are left out: {{ data.sharing }}.{% endif %}
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
        data=data,
        exact=EXACT_UP_TO,
        tests=tests,
        alpha=f"{ALPHA:g}",
        seeds=seeds,
        needed=seeds_needed(tests),
        least=number(least_p(seeds)),
    )


def _sentence(data: DatasetView, method: str, comparisons: Sequence[Comparison]) -> str:
    ours = [each for each in comparisons if each.method == method]
    certain = [f"**{_words(each)}**" for each in ours if each.is_told_apart]
    noisy = [_words(each) for each in ours if each.is_within_noise]
    hidden = [_words(each) for each in ours if not (each.is_told_apart or each.is_within_noise)]
    if ratios := paired(data, ACTIVATIONS, method, str(data.reference)):
        ratio, name = max(ratios), ACTIVATIONS.name
        is_alike = ratio != 1 and 100 * abs(ratio - 1) < ALIKE_PERCENT
        words = f"{name} within {ALIKE_PERCENT:g}%" if is_alike else _ratio(ratio, name)
        certain.insert(0, f"**{words}** (counted exactly)")
    parts = [listed(certain)] if certain else []
    if noisy:
        parts.append(f"no larger than a method differs from itself on this machine: {listed(noisy)}")
    if hidden:
        parts.append(f"not shown by these seeds: {listed(hidden)}")
    return f"{code(method)}: {'; '.join(parts)}."


def _words(each: Comparison) -> str:
    effect, name = each.effect, each.measure.name
    if each.is_within_noise:
        text = f"{name} within noise"
    elif each.measure is TEST_ACCURACY:
        way = f"{name} {'higher' if effect > 0 else 'lower'} by {number(abs(effect), 2)} points"
        text = way if effect else f"the same {name}"
    elif each.measure is TRAIN_SECONDS:
        text = f"faster by {number(1 / effect)}×" if effect < 1 else f"slower by {number(effect)}×"
    else:
        text = _ratio(effect, name)
    return f"{text} (p = {number(each.p, 2)})" if each.p >= 0.001 else f"{text} (p < 0.001)"


def _ratio(ratio: float, name: str) -> str:
    percent = 100 * abs(ratio - 1)
    if ratio > 2:
        return f"{number(ratio)} times the {name}"
    if percent < ALIKE_PERCENT:
        return f"the same {name}"
    return f"{number(percent, 2)}% {'less' if ratio < 1 else 'more'} {name}"
