"""A comparison of two runs in words, for the terminal: the tables, what could not be compared, and the outcome."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from reports.comparison.pairing import Group, Pairing
from reports.comparison.regression import FAILURES, Figure, Limits, Status
from reports.formats.markdown import MISSING, exact, listed, number, plural, plus_minus, times
from reports.statistics.estimates import estimate, ratio_estimate
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS

NAMES = {
    TEST_ACCURACY: ("test accuracy", "%"),
    TRAIN_SECONDS: ("training time", "s"),
    RSS_RISE: ("rise of resident memory", "MiB"),
    ACTIVATIONS: ("activations held for backward", "MiB"),
    GPU_ALLOCATED: ("GPU peak allocated", "MiB"),
}
"""What a measure is called here, and its unit."""
HEADERS = ("method", "figure", "seeds", "A", "B", "B against A", "p", "status")


def tables(figures: Iterable[Figure]) -> str:
    """A table for each data set, one row a figure: means over the seeds of both, 95% intervals of what is paired."""
    rows: dict[str, list[list[str]]] = {}
    for figure in figures:
        rows.setdefault(figure.dataset, []).append(_row(figure))
    align = ["left", "left", *("right" for _ in HEADERS[2:-1]), "left"]
    return "\n\n".join(
        f"{dataset}\n{tabulate(body, HEADERS, tablefmt='simple', colalign=align, disable_numparse=True)}"
        for dataset, body in rows.items()
    )


def remarks(pairing: Pairing, figures: Sequence[Figure]) -> Iterator[str]:
    """A line for everything that was not compared, or not on equal terms."""
    if pairing.is_reversed:
        yield "order: A was made after B, though it is B that is called better or worse"
    for group in pairing.missing:
        yield f"missing in B: {_who(group)}: {group.reason}"
    for group in pairing.refused:
        yield f"not compared: {_who(group)}: {group.reason}"
    for group in pairing.unfinished:
        yield f"nothing to compare with in A: {_who(group)}: {group.reason}"
    for group in pairing.added:
        yield f"only in B: {_who(group)}: {group.reason}"
    for group in pairing.retried:
        yield f"failed at first in B: {_who(group)}: finished at {group.reason}"
    unjudged: dict[tuple[Status, str], list[Figure]] = {}
    for figure in figures:
        if figure.reason:
            unjudged.setdefault((figure.status, figure.reason), []).append(figure)
    for (status, reason), those in unjudged.items():
        what = listed(list(dict.fromkeys(NAMES[figure.measure][0] for figure in those)))
        yield f"{status.value.lower()}: {what} of {_whose(those, figures)}: {reason}"
    if single := [figure for figure in figures if len(figure.old) == 1 and not figure.reason]:
        yield f"one seed: {_whose(single, figures)}: nothing tells how much it varies, so that the limit alone decides"
    if pairing.changes:
        yield f"also different: {'; '.join(pairing.changes)}"


def failures(pairing: Pairing, figures: Iterable[Figure]) -> list[str]:
    """Every reason why the check fails, in a few words each; empty where it passes."""
    return [
        *(f"{figure.dataset} {figure.method}: {_excess(figure)}" for figure in figures if figure.status in FAILURES),
        *(f"missing in B: {_who(group)} ({group.reason})" for group in pairing.missing),
    ]


def refusals(pairing: Pairing) -> list[str]:
    """Every method that is not compared, and why."""
    return [f"{group.dataset} {group.method} ({group.reason})" for group in pairing.refused]


def passed(figures: Sequence[Figure], limits: Limits) -> str:
    """The sentence on a check without failures."""
    counts = Counter(figure.status for figure in figures)
    unjudged, unclear = counts[Status.NOT_JUDGED], counts[Status.UNCLEAR]
    compared = f"{plural(len(figures) - unjudged, 'figure')} compared"
    if unjudged:
        compared += f", {unjudged} not judged"
    within = (
        f"{limits.accuracy_drop:g} {'point' if limits.accuracy_drop == 1 else 'points'} of test accuracy, "
        f"{limits.slowdown:g}% of training time, {limits.memory:g}% of memory"
    )
    if not unclear:
        return f"No regression: {compared}, none past its limit ({within})."
    return (
        f"No regression shown: {compared}, {unclear} past the limit ({within}), but by no more than chance may do with "
        "these seeds; more seeds would tell."
    )


def _row(figure: Figure) -> list[str]:
    name, unit = NAMES[figure.measure]
    means = [
        number(statistics.fmean(values), decimals=_decimals(figure)) if values else MISSING
        for values in (figure.old, figure.new)
    ]
    return [
        figure.method,
        f"{name}, {unit}",
        str(len(figure.old)),
        *means,
        MISSING if figure.reason else _effect(figure),
        MISSING if figure.p is None else f"{figure.p:.3f}" if figure.p >= 0.001 else "<0.001",
        figure.status.value,
    ]


def _decimals(figure: Figure) -> int | None:
    return 2 if figure.measure.exact else figure.measure.decimals


def _effect(figure: Figure) -> str:
    if figure.measure is TEST_ACCURACY:
        return f"{plus_minus(estimate(figure.effects), decimals=2, signed=True)} points"
    if figure.measure.exact:
        return f"{exact(figure.effects, decimals=3)} times"
    return f"{times(ratio_estimate(figure.effects), decimals=3)} times"


def _excess(figure: Figure) -> str:
    """By how much a figure is worse, or that it is not there."""
    name, _ = NAMES[figure.measure]
    if figure.status is Status.LOST:
        return f"{name} {figure.reason}"
    mean = figure.mean_loss
    if figure.measure is TEST_ACCURACY:
        return f"{name} lower by {number(mean)} points (limit {figure.limit:g})"
    return f"{name} higher by {number(mean)}% (limit {figure.limit:g}%)"


def _whose(some: Iterable[Figure], every: Iterable[Figure]) -> str:
    """The methods that some of the figures are of."""
    of_some, of_every = (
        list(dict.fromkeys(f"{figure.dataset} {figure.method}" for figure in figures)) for figures in (some, every)
    )
    return "all methods" if of_some == of_every else listed(of_some)


def _who(group: Group) -> str:
    seeds = f"{'seed' if len(group.seeds) == 1 else 'seeds'} {listed([str(seed) for seed in group.seeds])}"
    return f"{group.dataset} {group.method} {seeds}"
