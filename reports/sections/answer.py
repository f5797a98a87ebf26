"""The answer: whether training without backpropagation was worth it on a data set, in words and in one table."""

from __future__ import annotations

import statistics
from collections import Counter

from reports.formats.markdown import Markdown, code, codes, few, listed, number, plural
from reports.formats.prose import prose
from reports.formats.verdicts import (
    MAX_NAMED,
    accuracy_in_words,
    headline,
    in_words,
    is_open,
    to_decide,
    with_the_same_gains,
)
from reports.statistics.measures import VAL_ACCURACY
from reports.statistics.outcome import floor, outcome
from reports.statistics.questions import Findings, Row, findings
from reports.tables import answer_table
from reports.view import NOT_RUN, REFERENCE, DatasetView, Family, RunView

MAX_JUDGED = 2
"""Methods with a sentence of their own where there is no NoProp."""
INFERENCE = frozenset({"sampler", "samples"})
"""Options of a discrete NoProp that act at inference alone: where nothing else differs, it is one method."""
TEXT = """
## {{ data.name }}: is training without backpropagation worth it?

{{ sentences | bullets }}

{{ table }}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The sentences and the table."""
    found = findings(data)
    return prose(
        TEXT,
        data=data,
        sentences=answer(run, data),
        table=answer_table(data).markdown(found.grouped(data)),
    )


def answer(run: RunView, data: DatasetView) -> list[str]:
    """The answer in a few sentences, the most important first."""
    found = findings(data)
    subject, alike = _subject(data)
    if run.record.purpose == "calibration":
        return []
    sentences = []
    planned = run.planned_reference(data.name)
    if data.reference is None and planned is None:
        sentences.append(f"**This run cannot say**: `{REFERENCE}` was not in this run; add it with `--methods`.")
    elif data.reference is None:
        sentences.append(
            f"**This run cannot say**: no cell of `{planned}` has finished, so there is nothing to compare with."
        )
    elif subject is None and data.rivals and Family.NOPROP not in data.families.values():
        sentences += _rivals(data, found)
    elif subject is None and Family.NOPROP not in data.families.values():
        sentences.append(f"**This run cannot say**: no method besides {code(data.reference)} has finished.")
    elif subject is None:
        sentences.append("**This run cannot say**: no cell of a NoProp method has finished.")
    else:
        row = found.of(subject)
        same = [] if is_open(row, data) else with_the_same_gains(row, data, found)
        chosen = _chosen(subject, alike, data) + _other_inferences(row, data, found) + _one_block(row, data, found)
        sentences.append(f"**{headline(row, same, data)}**: {in_words(row, data, found)}.{chosen}")
        if same:
            unit = " per step" if found.raced else ""
            sentences.append(
                f"With backpropagation, {in_words(same[0], data, found)}.{_others(same[1:], data.reference, unit)}"
            )
    sentences += _extremes(data, found)
    images = max((cell.data.n_test for cell in data.cells if cell.data is not None), default=0)
    sentences += filter(None, [to_decide(found, images)])
    sentences += _what_happened(run, data)
    return sentences


def _subject(data: DatasetView) -> tuple[str | None, list[str]]:
    """The first NoProp method, in the form of inference with the best validation accuracy; all its forms, if several.

    Forms of inference share a training, and a user would choose between them without a test set.
    """
    first = next((m for m in data.rivals if data.families[m] is Family.NOPROP), None)
    alike = next((group for group in data.shared_trainings if first in group), [])
    if not alike:
        return first, []
    return max(alike, key=lambda m: _validated(m, data)), alike


def _validated(method: str, data: DatasetView) -> float:
    """Its validation accuracy, the mean over seeds."""
    return statistics.fmean(VAL_ACCURACY.values(data.finished[method]).values())


def _chosen(subject: str, alike: list[str], data: DatasetView) -> str:
    """Why this form of inference is the one that is judged; empty if there is no other."""
    if not alike:
        return ""
    tied = [m for m in alike if m != subject and _validated(m, data) == _validated(subject, data)]
    what = f"it ties with {codes(tied)} for the best" if tied else "it has the best"
    return f" Of {_forms(alike)}, which share a training, {what} validation accuracy."


def _other_inferences(row: Row, data: DatasetView, found: Findings) -> str:
    """The accuracy of the same method with other inference, where the run has it: which form is judged matters."""
    ours = data.finished[row.method][0]
    alike = next((group for group in data.shared_trainings if row.method in group), [])

    def is_another(method: str) -> bool:
        theirs = data.finished[method][0]
        if method == row.method or theirs.method_name != ours.method_name:
            return False
        options = [{k: v for k, v in c.config.options.items() if k not in INFERENCE} for c in (ours, theirs)]
        return method in alike or options[0] == options[1]

    others = [each for each in found.rows if each.method != data.reference and is_another(each.method)]
    if not others:
        return ""
    if len(others) > MAX_JUDGED:  # the default says more than the first of many
        others = [each for each in others if each.method == ours.method_name] or others[:1]
    said = [f"{code(each.method)} {accuracy_in_words(each.accuracy, str(data.reference))}" for each in others]
    options = [data.finished[each.method][0].config.options for each in others]
    apart = [name for name, value in ours.config.options.items() if any(o.get(name) != value for o in options)]
    form = [code(f"{name}={ours.config.options[name]}") for name in apart]
    judged = f" This is inference with {listed(form)}; with" if form else " With"
    return f"{judged} other inference, {listed(said)}."


def _one_block(row: Row, data: DatasetView, found: Findings) -> str:
    """What a single block does, which denoises once: whether it takes a chain of them."""
    name = data.finished[row.method][0].method_name

    def is_one_block(method: str) -> bool:
        config = data.finished[method][0].config
        return data.finished[method][0].method_name == name and config.options.get("T") == 1

    one = next((each for each in found.rows if is_one_block(each.method)), None)
    if one is None or one.method == row.method or one.test_accuracy is None or row.test_accuracy is None:
        return ""
    time = ""
    if one.time is not None:
        per_step = " per step" if found.raced else ""
        time = f" in {number(one.time.ratio)} times {code(str(data.reference))}'s time{per_step}"
    accuracies = [number(each.test_accuracy or 0.0, decimals=2) for each in (one, row)]
    return (
        f" One block, without a chain ({code(one.method)}), has {accuracies[0]}%{time}; the chain has {accuracies[1]}%."
    )


def _forms(alike: list[str]) -> str:
    return codes(alike) if len(alike) < MAX_NAMED else f"{len(alike)} forms of inference"


def _rivals(data: DatasetView, found: Findings) -> list[str]:
    """Other training rules against the reference, or else other uses of backpropagation; the most accurate first."""
    rows = [row for row in found.rows if row.method != data.reference]
    rules = [row for row in rows if data.families[row.method] is Family.OTHER] or rows
    said = []
    for row in rules[:MAX_JUDGED]:
        is_rule = data.families[row.method] is Family.OTHER and not is_open(row, data)
        same = with_the_same_gains(row, data, found) if is_rule else []
        with_it = f" (such as {code(same[0].method)})" if same else ""
        said.append(f"**{headline(row, same, data)}**{with_it}: {in_words(row, data, found)}.")
    if more := len(rows) - len(said):
        said[-1] += f" The table has {plural(more, 'more method')}."
    return said


def _others(rivals: list[Row], reference: str, unit: str) -> str:
    """Further methods with the same gains, with their times."""
    named = [
        code(each.method) + (f" ({number(each.time.ratio)} times {code(reference)}'s time{unit})" if each.time else "")
        for each in rivals[:MAX_NAMED]
    ]
    return f" NoProp's savings are had with {listed(named)} as well." if named else ""


def _extremes(data: DatasetView, found: Findings) -> list[str]:
    """The most accurate, the fastest and the leanest method, by their means."""
    parts = []
    known = {row.method: number(row.test_accuracy, decimals=2) for row in found.rows if row.test_accuracy is not None}
    if len(known) > 1:
        highest = next(iter(known.values()))
        best = [code(method) for method, accuracy in known.items() if accuracy == highest]
        parts.append(f"most accurate {'is' if len(best) == 1 else 'are'} {few(best, MAX_NAMED)} ({highest}%)")
    steps = "time per step" if found.raced else "time"
    for name, pick, what in (("fastest", "time", steps), ("leanest", "memory", found.memory.name)):
        ratios = {row.method: getattr(row, pick).ratio for row in found.rows if getattr(row, pick) is not None}
        least = min(ratios.values(), default=None)
        if least is not None and least < 1:
            first = [code(method) for method, value in ratios.items() if value == least]
            share = f"{number(least)} times the {what} of {code(str(data.reference))}" if least else f"no {what}"
            parts.append(f"{name} {'is' if len(first) == 1 else 'are'} {few(first, MAX_NAMED)} ({share})")
        elif least is not None:
            parts.append(f"{name} is {code(str(data.reference))}")
    return [f"By their means, which are not tested against one another, {listed(parts)}."] if parts else []


def _what_happened(run: RunView, data: DatasetView) -> list[str]:
    outcomes = {method: outcome(data, method) for method in data.drawn}
    sentences = []
    if failed := Counter(cell.method for cell in run.missing if cell.dataset == data.name and cell.reason != NOT_RUN):
        counts = [f"{code(method)} ({count} of {data.planned[method]})" for method, count in failed.items()]
        diverged = Counter(c.method for c in run.missing if c.dataset == data.name and "diverged" in c.reason)
        why = f"; the loss of {codes(diverged)} was no longer a number" if diverged else ""
        sentences.append(f"**Failed cells**: {listed(counts)}{why}.")
    if lost := [method for method, each in outcomes.items() if each.at_chance]:
        guessing = number(100 * (floor(data.finished[lost[0]]) or 0.0), 3)
        sentences.append(
            f"**At chance** ({guessing}%): {codes(lost)} learned nothing that the test shows; a longer training may."
        )
    if rose := [method for method, each in outcomes.items() if each.loss_rose]:
        sentences.append(f"**Loss rose** in training: {codes(rose)}.")
    if rising := {method: each.rise for method, each in outcomes.items() if each.rise is not None}:
        most = sorted(rising.items(), key=lambda item: -item[1])
        named = [f"{code(m)} (+{number(rise, decimals=1)} points)" for m, rise in most]
        sentences.append(f"**Still learning** in the last fifth, by validation accuracy: {few(named, MAX_NAMED)}.")
    return sentences
