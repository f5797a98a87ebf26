"""A comparison of two runs in words, for the terminal: the tables, what could not be compared, and the outcome."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from reports.comparison.pairing import Group, Pair, Pairing
from reports.comparison.regression import FAILURES, Check, Limits, Status
from reports.formats.markdown import MISSING, exact, listed, number, plural, plus_minus, times
from reports.statistics.estimates import DIFFERENCES, Estimate, RatioEstimate, ratio_estimate
from reports.statistics.measures import TEST_ACCURACY, Measure

POWER = 1.04
"""The 85% point of the normal distribution."""


def tables(checks: Iterable[Check]) -> str:
    """A table for each data set, one row per check: means of the seeds that count, and the change with its interval."""
    rows: dict[str, list[list[str]]] = {}
    for check in checks:
        rows.setdefault(check.pair.dataset, []).append(_row(check))
    headers = ["method", "measure", "seeds", "A", "B", "B against A", "status"]
    return "\n\n".join(f"{dataset}\n{_table(headers, body, right=range(2, 6))}" for dataset, body in rows.items())


def speed_up(pairs: Iterable[Pair]) -> str | None:
    """A table of every method that had one number of ranks in A and another in B; None if there is none.

    The speed-up is A's seconds over B's, a geometric mean over seeds with its interval; the efficiency is the speed-up
    over the ideal one of that many ranks.
    """
    headers = ["data set", "method", "seeds", "ranks, A", "ranks, B", "training, s, A", "training, s, B", "speed-up"]
    rows = [row for pair in pairs for row in _speed_up(pair)]
    return _table([*headers, "efficiency"], rows, right=range(2, 9)) if rows else None


def remarks(pairing: Pairing, checks: Sequence[Check]) -> Iterator[str]:
    """A line for everything that was not compared, or not on equal terms."""
    if pairing.is_reversed:
        yield "order: A was made after B, but B is the one called better or worse"
    for groups, what, before in (
        (pairing.missing, "missing in B", ""),
        (pairing.refused, "not compared", ""),
        (pairing.unfinished, "nothing to compare with in A", ""),
        (pairing.added, "only in B", ""),
        (pairing.retried, "failed at first in B", "finished at "),
    ):
        yield from (f"{what}: {_who(group)}: {before}{group.reason}" for group in groups)
    unjudged: dict[tuple[Status, str], list[Check]] = {}
    for check in checks:
        if check.reason:
            unjudged.setdefault((check.status, check.reason), []).append(check)
    for (status, reason), those in unjudged.items():
        what = listed(list(dict.fromkeys(check.measure.name for check in those)))
        yield f"{status.value.lower()}: {what} of {_whose(those, checks)}: {reason}"
    out = [f"{' '.join(c.key)} {_seeds(c.left_out)} ({c.measure.name})" for c in checks if c.left_out]
    if out:
        yield f"left out, as disturbed or far from the others: {listed(out)}"
    if single := [check for check in checks if check.effect and check.effect.family is None]:
        yield f"one seed: {_whose(single, checks)}: nothing tells how much it varies, so the limit alone decides"
    yield from _unnoticed(checks)
    yield from _other_code(pairing.pairs)
    if pairing.changes:
        yield f"also different: {'; '.join(pairing.changes)}"


def _other_code(pairs: Iterable[Pair]) -> Iterator[str]:
    """A line for each method from a package of somebody's own whose files are others in B, where both runs say."""
    yield from dict.fromkeys(
        f"other code: {a.method_name} is {a.method_package} in A and {b.method_package} in B"
        for pair in pairs
        for a, b in zip(pair.old, pair.new, strict=True)
        if None not in (a.method_package, b.method_package) and a.method_package != b.method_package
    )


def _unnoticed(checks: Iterable[Check]) -> Iterator[str]:
    """For each cost on each data set, which change of a single method the seeds may not show, if past the limit."""
    families: dict[tuple[str, Measure], list[Check]] = {}
    for check in checks:
        if check.measure is not TEST_ACCURACY:
            families.setdefault((check.pair.dataset, check.measure), []).append(check)
    for (dataset, measure), family in families.items():
        known = [(e, e.family, e.seed_sd) for check in family if (e := check.effect)]
        found = [f.high - e.value + POWER * sd / math.sqrt(e.seeds) for e, f, sd in known if f and sd is not None]
        if found and (percent := round(100 * math.expm1(min(max(found), 700.0)))) > family[0].limit:
            yield (
                f"may go unnoticed: {measure.name} of a single method on {dataset} higher by less than "
                f"{percent:,}% (found in 85% of cases from there on)"
            )


def failures(pairing: Pairing, checks: Iterable[Check]) -> list[str]:
    """Every reason why the comparison fails, in a few words each; empty if it passes."""
    return [
        *(f"{' '.join(check.key)}: {_excess(check)}" for check in checks if check.status in FAILURES),
        *(f"missing in B: {_who(group)} ({group.reason})" for group in pairing.missing),
    ]


def refusals(pairing: Pairing) -> list[str]:
    """Every method that is not compared, and why."""
    return [f"{group.dataset} {group.method} ({group.reason})" for group in pairing.refused]


def passed(checks: Sequence[Check], limits: Limits) -> str:
    """The sentence on a comparison without failures."""
    counts = Counter(check.status for check in checks)
    unjudged, unclear = counts[Status.NOT_JUDGED], counts[Status.UNCLEAR]
    done = f"{plural(len(checks) - unjudged, 'check')} judged" + (f", {unjudged} not judged" if unjudged else "")
    within = (
        f"{limits.accuracy_drop:g} {'point' if limits.accuracy_drop == 1 else 'points'} of test accuracy, "
        f"{limits.slowdown:g}% of training time, {limits.memory:g}% of memory"
    )
    if not unclear:
        return f"No regression: {done}, none past its limit ({within})."
    return (
        f"No regression shown: {done}, {unclear} past the limit ({within}), but by no more than chance may do with "
        "these seeds; more seeds would tell."
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> str:
    align = ["right" if column in right else "left" for column in range(len(headers))]
    return tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)


def _row(check: Check) -> list[str]:
    decimals = 2 if check.measure.exact else check.measure.decimals
    values = (check.old.values(), check.new.values())
    means = (number(statistics.fmean(v), decimals=decimals) if v else MISSING for v in values)
    effect = MISSING if check.reason else _effect(check)
    return [check.pair.method, check.measure.header, str(len(check.old)), *means, effect, check.status.value]


def _effect(check: Check) -> str:
    effect = check.effect
    if effect is None:
        return f"{exact(check.ratios.values(), decimals=3)} times"
    value, n = effect.value, effect.seeds
    alone = None if check.status is Status.SAME else effect.alone
    if check.measure is TEST_ACCURACY:
        half = None if alone is None else alone.high - value
        return f"{plus_minus(Estimate(value, half, half, n, DIFFERENCES), decimals=2, signed=True)} points"
    low, high = (None, None) if alone is None else (math.exp(min(end, 700.0)) for end in (alone.low, alone.high))
    return f"{times(RatioEstimate(math.exp(value), low, high, n), decimals=3)} times"


def _excess(check: Check) -> str:
    """By how much a measure is worse, or that it is not there."""
    name = check.measure.name
    if check.status is Status.LOST:
        return f"{name} {check.reason}"
    if check.measure is TEST_ACCURACY:
        return f"{name} lower by {number(check.mean_loss)} points (limit {check.limit:g})"
    return f"{name} higher by {number(check.mean_loss)}% (limit {check.limit:g}%)"


def _speed_up(pair: Pair) -> Iterator[list[str]]:
    ours, theirs = ({cell.world_size for cell in cells} for cells in (pair.old, pair.new))
    both = zip(pair.old, pair.new, strict=True)
    seconds = [(a.train_seconds, b.train_seconds) for a, b in both if a.train_seconds and b.train_seconds]
    gain = ratio_estimate(a / b for a, b in seconds)
    if ours == theirs or len(ours) > 1 or len(theirs) > 1 or gain is None or "train_seconds" in pair.obstacles:
        return
    (few,), (many,) = ours, theirs
    means = [number(statistics.fmean(column)) for column in zip(*seconds, strict=True)]
    ends = [times(gain, decimals=2), f"{gain.mean / (many / few):.0%}"]
    yield [pair.dataset, pair.method, str(len(seconds)), str(few), str(many), *means, *ends]


def _whose(some: Iterable[Check], every: Iterable[Check]) -> str:
    """The methods that some of the checks are of."""
    of_some, of_every = (list(dict.fromkeys(" ".join(check.key) for check in checks)) for checks in (some, every))
    return "all methods" if of_some == of_every else listed(of_some)


def _who(group: Group) -> str:
    return f"{group.dataset} {group.method} {_seeds(group.seeds)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"
