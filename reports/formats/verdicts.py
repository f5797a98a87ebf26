"""A method against the reference in words: a headline, and a sentence on accuracy, time and memory."""

from __future__ import annotations

import math
import statistics

from reports.formats.effects import inverse, points, ratio
from reports.formats.markdown import Markdown, code, few, listed, number, plural
from reports.statistics.effect import Basis, Verdict
from reports.statistics.outcome import floor
from reports.statistics.questions import Findings, Judged, Row
from reports.view import DatasetView, Family

MAX_NAMED = 4
OPEN = "Too short / too few seeds to say"
"""The headline where nothing useful is known of the accuracy."""
ONE_SEED = "one seed: over test images alone"
_USEFUL = 20.0
"""Points to a side: an interval of a difference in accuracy that is wider says nothing that anybody can use."""
_NEAR_CHANCE = 0.1
"""Of the way from chance to no error: a method that has not come farther has hardly begun to learn."""
_FAST = 0.5
"""Ratios of times below this are told as speeds."""


def in_words(row: Row, data: DatasetView, found: Findings) -> Markdown:
    """A method against the reference: `noprop is as accurate as backprop (...), takes ... and needs ...`."""
    parts = [accuracy_in_words(row.accuracy, str(data.reference))]
    if row.time is not None:
        parts.append(_time(row.time, " per step" if found.raced else ""))
    if row.memory is not None:
        parts.append(f"needs {_share(row.memory)} {found.memory.name}")
    return f"{code(row.method)} {listed(parts)}"


def accuracy_in_words(judged: Judged | None, reference: str) -> Markdown:
    """`is more accurate than backprop (+1.20 points, +0.80 to +1.60)`."""
    if judged is None:
        return f"shares no seed with {code(reference)}"
    value, _, interval = points(judged.effect).partition(" ")
    gap = f"{value} points, {interval.strip('()')}" if interval else f"{value} points"
    gap += f"; {ONE_SEED}" if judged.effect.basis is Basis.IMAGES else ""
    if judged.verdict is Verdict.UNDECIDED:
        by_what = "so few test images" if judged.needs_images else plural(judged.effect.seeds, "seed")
        more = f"; about {plural(judged.seeds_needed, 'seed')} in all would decide" if judged.seeds_needed else ""
        if leaning := judged.leaning:
            note = f"undecided when all methods are judged together{more}"
            return f"is probably {leaning} accurate than {code(reference)} ({gap}; {note})"
        return f"cannot be told from {code(reference)} in accuracy by {by_what} ({gap}{more})"
    words = {
        Verdict.EQUIVALENT: "as accurate as",
        Verdict.BETTER: "more accurate than",
        Verdict.WORSE: "less accurate than",
    }
    return f"is {words[judged.verdict]} {code(reference)} ({gap})"


def headline(row: Row, rivals: list[Row], data: DatasetView) -> Markdown:
    """What a method is good for: `For memory, not for time`.

    Args:
        row: the method.
        rivals: methods with backpropagation that have its gains, too.
        data: the data set.
    """
    if is_open(row, data):
        return OPEN
    by_verdict = {
        verdict: [name for name, judged in _cases(row).items() if judged is not None and judged.verdict is verdict]
        for verdict in Verdict
    }
    better, worse, unsure = (by_verdict[each] for each in (Verdict.BETTER, Verdict.WORSE, Verdict.UNDECIDED))
    leaning = row.accuracy.leaning if row.accuracy else ""
    if leaning:
        unsure.remove("accuracy")
    notes = [f"probably {leaning} accurate"] * bool(leaning) + [f"{listed(unsure)} undecided"] * bool(unsure)
    if better and rivals:
        who = "NoProp" if data.families[row.method] is Family.NOPROP else code(row.method)
        aims = {"accuracy": "be more accurate", "time": "save time", "memory": "save memory"}
        text = f"{who} is not needed to {listed([aims[name] for name in better])}: backpropagation can do that as well"
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


def is_open(row: Row, data: DatasetView) -> bool:
    """Whether nothing useful is known of a method's accuracy: too few seeds, or it or the reference is near chance."""
    judged = row.accuracy
    if judged is None:
        return True
    if judged.verdict in (Verdict.BETTER, Verdict.WORSE):
        return False
    alone = judged.effect.alone
    is_wide = alone is None or alone.high - alone.low > 2 * _USEFUL
    return (judged.verdict is Verdict.UNDECIDED and is_wide) or any(
        _is_near_chance(data, method) for method in (row.method, str(data.reference))
    )


def _is_near_chance(data: DatasetView, method: str) -> bool:
    cells = data.finished[method]
    accuracies = [cell.test_accuracy for cell in cells if cell.test_accuracy is not None]
    guessing = floor(cells)
    if guessing is None or not accuracies:
        return False
    return statistics.fmean(accuracies) <= guessing + _NEAR_CHANCE * (1 - guessing)


def with_the_same_gains(row: Row, data: DatasetView, found: Findings) -> list[Row]:
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


def to_decide(found: Findings, images: int) -> Markdown:
    """What it takes to decide the accuracies that are undecided: seeds, how many, or test images; empty if none is."""
    undecided = [(row.method, j) for row in found.rows if (j := row.accuracy) and j.verdict is Verdict.UNDECIDED]
    known = [(method, judged.seeds_needed) for method, judged in undecided if judged.seeds_needed]
    stuck = [method for method, judged in undecided if judged.needs_images]
    single = [method for method, judged in undecided if judged.effect.seed_sd is None]
    rest = [m for m, j in undecided if not (j.seeds_needed or j.needs_images) and m not in single]
    parts = []
    if known:
        counts = [f"{count} for {code(method)}" for method, count in known[:MAX_NAMED]]
        counts[0] = f"about {known[0][1]} seeds in all for {code(known[0][0])}"
        more = f" (the table has the others' {len(known) - MAX_NAMED})" if len(known) > MAX_NAMED else ""
        parts.append(listed(counts) + more)
    if rest:
        parts.append(f"more than a hundred seeds for {_named(rest)}")
    if single:
        parts.append(f"more than one seed for {_named(single)}")
    if stuck:
        parts.append(f"more test images for {_named(stuck)}: with {images:,}, no number of seeds would do")
    return f"**To decide accuracy**, it takes {'; '.join(parts)}." if parts else ""


def _named(methods: list[str]) -> Markdown:
    """Some of the methods, and how many more."""
    return few([code(method) for method in methods], MAX_NAMED)


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
    """`10% of its`, `as much`, `3.1 times its`, `no`."""
    if judged.verdict is Verdict.EQUIVALENT:
        return "as much"
    if judged.ratio == 0:
        return "no"
    if judged.ratio < 1:
        return f"{number(100 * judged.ratio, 2)}% of its"
    return f"{ratio(judged.effect)} times its"


def _cases(row: Row) -> dict[str, Judged | None]:
    return {"accuracy": row.accuracy, "time": row.time, "memory": row.memory}
