"""The answer: whether training without backpropagation was worth it on a data set, in words and in one table."""

from __future__ import annotations

import math
import statistics
from collections import Counter

from reports.formats.effects import inverse, points, ratio
from reports.formats.markdown import Markdown, code, codes, listed, number, plural
from reports.formats.prose import prose
from reports.sections.memory import in_turn
from reports.statistics.effect import Basis, Verdict
from reports.statistics.measures import VAL_ACCURACY
from reports.statistics.outcome import floor, outcome
from reports.statistics.questions import Findings, Judged, Row, findings
from reports.tables import MARKS, answer_table
from reports.view import NOT_RUN, REFERENCE, DatasetView, Family, RunView

MAX_NAMED = 4
_FAST = 0.5
"""Ratios of times below this are told as speeds."""
TEXT = """
## {{ data.name }}: is training without backpropagation worth it?

{{ sentences | bullets }}

{{ table }}

{{ legend }}

{{ figure }}
"""
LEGEND = """
{% if data.rivals %}Difference, time and memory are against `{{ data.reference }}`. Marks judge all methods of a column
together: {{ marks }}. Better and worse mean that equality is ruled out; equivalent, that the difference is within
{{ margins.accuracy_points | number(1) }} points of accuracy, {{ "%g" | format(100 * margins.time) }}% of time or
{{ "%g" | format(100 * margins.memory) }}% of memory. Intervals are 95%, each by itself, so one behind ? may rule
out equality.
{%- if needed %} In brackets behind ?: about how many seeds in all would decide; without a number, more than a hundred,
or no number of seeds would.{% endif %}
{%- if bases %} Intervals of accuracy cover {{ bases | listed }} ({{ images }}).{% endif %}
{% if raced %}Time is that of a training step, measured in turns with the reference's (`race.json`), so that other load
on the machine hits both alike.
{%- if data.race.failed %} Not timed, since it failed then: {{ data.race.failed | codes }}.{% endif %}
{%- elif timed %}Time is that of training{% if left_out %}, without the disturbed cells of {{ left_out | codes }}
{%- endif %}.
{%- elif data.sharing %}Times are left out: {{ data.sharing }}.{% endif %}
Memory is {{ memory }}.{% endif %}
{%- if in_turn %} {{ in_turn }}{% endif %}
{% for methods in data.shared_trainings %}
{{ methods | codes }} differ at inference alone and share one training per seed: its time and memory are measured once.
{% endfor %}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The sentences, the table and how to read it."""
    found = findings(data)
    return prose(
        TEXT,
        data=data,
        sentences=answer(run, data),
        table=answer_table(data).markdown(found.grouped(data)),
        legend=_legend(found, data),
        figure=data.figures.get("differences", ""),
    )


def answer(run: RunView, data: DatasetView) -> list[str]:
    """The answer in a few sentences, the most important first."""
    found = findings(data)
    subject, alike = _subject(data)
    if run.record.purpose == "calibration":
        return []
    sentences = []
    if data.reference is None and REFERENCE not in run.names_on(data.name):
        sentences.append(f"**This run cannot say**: `{REFERENCE}` was not in this run; add it with `--methods`.")
    elif data.reference is None:
        sentences.append(
            f"**This run cannot say**: no cell of `{REFERENCE}` has finished, so there is nothing to compare with."
        )
    elif subject is None:
        sentences.append("**This run cannot say**: no cell of a NoProp method has finished.")
    else:
        row = found.of(subject)
        rivals = _rivals(row, data, found)
        chosen = f" Of {codes(alike)}, which share a training, it has the best validation accuracy." if alike else ""
        sentences.append(f"**{_worth(row, rivals)}**: {in_words(row, data, found)}.{chosen}")
        if rivals:
            unit = " per step" if found.raced else ""
            sentences.append(
                f"With backpropagation, {in_words(rivals[0], data, found)}.{_others(rivals[1:], data.reference, unit)}"
            )
    sentences += _extremes(data, found)
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
    return max(alike, key=lambda m: statistics.fmean(VAL_ACCURACY.values(data.finished[m]).values())), alike


def in_words(row: Row, data: DatasetView, found: Findings) -> str:
    """A method against the reference: `noprop is as accurate as backprop (...), takes ... and needs ...`."""
    parts = [_accuracy(row.accuracy, str(data.reference))]
    if row.time is not None:
        parts.append(_time(row.time, " per step" if found.raced else ""))
    if row.memory is not None:
        parts.append(f"needs {_share(row.memory)} {found.memory.name}")
    return f"{code(row.method)} {listed(parts)}"


def _accuracy(judged: Judged | None, reference: str) -> str:
    if judged is None:
        return f"shares no seed with {code(reference)}"
    value, _, interval = points(judged.effect).partition(" ")
    gap = f"{value} points, {interval.strip('()')}" if interval else f"{value} points"
    if judged.verdict is Verdict.UNDECIDED:
        seeds = plural(judged.effect.seeds, "seed")
        more = f"; about {plural(judged.seeds_needed, 'seed')} in all would decide" if judged.seeds_needed else ""
        if leaning := _leaning(judged):
            note = f"undecided when all methods are judged together{more}"
            return f"is probably {leaning} accurate than {code(reference)} ({gap}; {note})"
        return f"cannot be told from {code(reference)} in accuracy by {seeds} ({gap}{more})"
    words = {
        Verdict.EQUIVALENT: "as accurate as",
        Verdict.BETTER: "more accurate than",
        Verdict.WORSE: "less accurate than",
    }
    return f"is {words[judged.verdict]} {code(reference)} ({gap})"


def _leaning(judged: Judged) -> str:
    """`more` or `less` where the interval by itself rules out equality, else nothing."""
    alone = judged.effect.alone
    return "" if alone is None or alone.low <= 0 <= alone.high else "more" if alone.low > 0 else "less"


def _time(judged: Judged, unit: str) -> str:
    is_fast = judged.verdict is Verdict.BETTER and judged.ratio < _FAST
    times, _, interval = ratio(inverse(judged.effect) if is_fast else judged.effect).partition(" ")
    notes = [interval.strip("()"), "undecided" if judged.verdict is Verdict.UNDECIDED else ""]
    text = "takes as long" if judged.verdict is Verdict.EQUIVALENT else f"takes {times} times as long"
    if is_fast:
        text = f"is {times} times as fast"
    text += unit
    return f"{text} ({'; '.join(filter(None, notes))})" if any(notes) else text


def _share(judged: Judged) -> str:
    """`10% of its`, `as much`, `3.1 times its`."""
    if judged.verdict is Verdict.EQUIVALENT:
        return "as much"
    if judged.ratio < 1:
        return f"{number(100 * judged.ratio, 2)}% of its"
    return f"{ratio(judged.effect)} times its"


def _cases(row: Row) -> dict[str, Judged | None]:
    return {"accuracy": row.accuracy, "time": row.time, "memory": row.memory}


def _worth(row: Row, rivals: list[Row]) -> str:
    """The headline: `for memory, not for time`."""
    by_verdict = {
        verdict: [name for name, judged in _cases(row).items() if judged is not None and judged.verdict is verdict]
        for verdict in Verdict
    }
    better, worse, unsure = (by_verdict[each] for each in (Verdict.BETTER, Verdict.WORSE, Verdict.UNDECIDED))
    leaning = _leaning(row.accuracy) if row.accuracy and "accuracy" in unsure else ""
    if leaning:
        unsure.remove("accuracy")
    notes = [f"probably {leaning} accurate"] * bool(leaning) + [f"{listed(unsure)} undecided"] * bool(unsure)
    if better and rivals:
        aims = {"accuracy": "be more accurate", "time": "save time", "memory": "save memory"}
        text = f"NoProp is not needed to {listed([aims[name] for name in better])}: backpropagation can do that as well"
        text += f"; worse in {listed(worse)}" if worse else ""
    elif better:
        text = f"For {listed(better)}" + (f", not for {' or '.join(worse)}" if worse else "")
    elif worse:
        text = f"No: worse in {listed(worse)}"
    elif leaning:
        text, notes = f"Probably {leaning} accurate", notes[1:]
    else:
        return f"Undecided in {listed(unsure)}" if unsure else "No difference that counts"
    return "; ".join([text, *notes])


def _rivals(row: Row, data: DatasetView, found: Findings) -> list[Row]:
    """Methods that use backpropagation and have each gain of this one too, not worse in accuracy; the fastest first."""
    ours = _cases(row)
    gains = {name: judged for name, judged in ours.items() if judged and judged.verdict is Verdict.BETTER}
    limits = {"time": 1 + data.margins.time, "memory": 1 + data.margins.memory}

    def has_them(other: Row) -> bool:
        theirs = _cases(other)
        if other.accuracy is None or other.accuracy.verdict is Verdict.WORSE:
            return False
        if "accuracy" in gains and other.accuracy.verdict is not Verdict.BETTER:
            return False
        costs = {name: judged for name, judged in gains.items() if name in limits}
        return all((cost := theirs[name]) and cost.ratio <= own.ratio * limits[name] for name, own in costs.items())

    rivals = [each for each in found.rows if data.families[each.method] is Family.BACKPROP and has_them(each)]
    return sorted(rivals, key=lambda each: each.time.ratio if each.time else math.inf) if gains else []


def _others(rivals: list[Row], reference: str, unit: str) -> str:
    """Further methods with the same gains, with their times."""
    named = [
        code(each.method) + (f" ({number(each.time.ratio)} times {code(reference)}'s time{unit})" if each.time else "")
        for each in rivals[:MAX_NAMED]
    ]
    return f" {listed(named)} can do that as well." if named else ""


def _extremes(data: DatasetView, found: Findings) -> list[str]:
    """The most accurate, the fastest and the leanest method, by their means."""
    parts = []
    known = {row.method: number(row.test_accuracy, decimals=2) for row in found.rows if row.test_accuracy is not None}
    if len(known) > 1:
        highest = next(iter(known.values()))
        best = [code(method) for method, accuracy in known.items() if accuracy == highest]
        parts.append(f"most accurate {'is' if len(best) == 1 else 'are'} {listed(best[:MAX_NAMED])} ({highest}%)")
    steps = "time per step" if found.raced else "time"
    for name, pick, what in (("fastest", "time", steps), ("leanest", "memory", found.memory.name)):
        rows = [row for row in found.rows if getattr(row, pick) is not None]
        if rows:
            first = min(rows, key=lambda row: getattr(row, pick).ratio)
            value = getattr(first, pick).ratio
            if value < 1:
                parts.append(
                    f"{name} is {code(first.method)} ({number(value)} times the {what} of {code(str(data.reference))})"
                )
            else:
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
        named = listed([f"{code(m)} (+{number(rise, decimals=1)} points)" for m, rise in rising.items()])
        sentences.append(f"**Still learning** in the last fifth, by validation accuracy: {named}.")
    return sentences


def _legend(found: Findings, data: DatasetView) -> Markdown:
    bases = dict.fromkeys(
        row.accuracy.effect.basis for row in found.rows if row.accuracy is not None and row.accuracy.effect.alone
    )
    names = {
        Basis.SEEDS_AND_IMAGES: "a new seed and a new test set of this size",
        Basis.SEEDS: "a new seed alone, since which images were right is not recorded",
        Basis.IMAGES: "a new test set of this size alone, since there is one seed",
    }
    return prose(
        LEGEND,
        data=data,
        margins=data.margins,
        marks=", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items()),
        bases=[names[basis] for basis in bases],
        images=plural(max((cell.data.n_test for cell in data.cells if cell.data is not None), default=0), "test image"),
        raced=found.raced,
        timed=any(row.time is not None for row in found.rows),
        needed=any(judged and judged.seeds_needed for row in found.rows for judged in _cases(row).values()),
        left_out=dict.fromkeys(method for method, _ in found.costs.left_out) if found.costs else {},
        memory=found.memory.name,
        in_turn=in_turn(data),
    )
