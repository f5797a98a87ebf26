"""What single comparisons say of NoProp's chain: its accuracy, time and memory against another method's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.formats.effects import points, ratio
from reports.formats.markdown import Markdown, capital, code, few, number, plural
from reports.formats.verdicts import ONE_SEED
from reports.overview.overview import Overview, chain, matched, sampled
from reports.overview.pooling import Pool
from reports.statistics.effect import Effect, Verdict
from reports.statistics.measures import ACTIVATIONS, RSS_RISE, TEST_ACCURACY

Pick = Callable[[Pool], str | None]
MAX_NAMED = 4
"""Comparisons with the same verdict that a sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison says to a question."""

    pool: Pool
    verdict: Verdict
    text: Markdown
    """A clause with the numbers and the runs."""
    word: str
    """The verdict, or of a single seed's accuracy who is ahead."""
    difference: Effect | None = None
    """In accuracy; None where it is a cost."""

    @property
    def one_seed(self) -> bool:
        """Whether it is the accuracy of a single seed, of which no verdict is told: another seed may say otherwise."""
        return self.difference is not None and self.difference.seeds == 1


def against(overview: Overview, pick: Pick, *, both: bool = False) -> list[Finding]:
    """NoProp's chain against another method in accuracy, in every comparison that has both.

    Args:
        overview: all runs.
        pick: the other method.
        both: whether the chain by sampling has a clause of its own where it stands for NoProp by the mean.
    """
    found = []
    for each in overview.comparisons:
        theirs = pick(each)
        ours = None if theirs is None else chain(each, theirs)
        if ours is None or theirs is None or (finding := _finding(overview, each, ours, theirs, both)) is None:
            continue
        found.append(finding)
    return found


def by_sampling(overview: Overview) -> list[Finding]:
    """The chain by sampling against the reference, where it stands for NoProp by the mean."""
    found = []
    for each in overview.main:
        ours = chain(each)
        other, theirs = sampled(each, ours) if ours else None, matched(each)
        if other and theirs and (finding := _finding(overview, each, other, theirs, both=False)):
            found.append(finding)
    return found


def _finding(overview: Overview, each: Pool, ours: str, theirs: str, both: bool) -> Finding | None:
    if ours == theirs or (judged := each.against(ours, theirs)) is None:
        return None
    means = {name: number(mean(each, name), decimals=2) for name in (ours, theirs)}
    text = f"{code(ours)} {means[ours]}%, {code(theirs)} {means[theirs]}%, {gap(judged.effect)}"
    other = sampled(each, ours) if both else None
    second = each.against(other, theirs) if other else None
    if other and second:
        text += f"; by sampling, {code(other)} {number(mean(each, other), decimals=2)}%, {gap(second.effect)}: "
        text += standing(second.verdict, second.effect)
    methods = [name for name in (ours, other, theirs) if name]
    text += f" ({runs_of(overview, each, *methods)})"
    word = standing(judged.verdict, judged.effect)
    return Finding(each, judged.verdict, text, word, judged.effect)


def standing(verdict: Verdict, effect: Effect) -> str:
    """The verdict on an accuracy; of one seed, which says nothing of others, who is ahead by more than chance.

    Where it is not known which images were right, chance is not known either. A difference within the margin that is
    more than chance is told, too.
    """
    if effect.seeds > 1:
        is_real = verdict is Verdict.EQUIVALENT and effect.alone is not None and effect.alone.excludes_zero()
        return f"{verdict.value}, slightly {'ahead' if effect.value > 0 else 'behind'}" if is_real else verdict.value
    if effect.alone is None:
        return "undecided with one seed"
    is_level = effect.alone.low <= 0 <= effect.alone.high
    return f"{'level' if is_level else 'ahead' if effect.value > 0 else 'behind'} with one seed"


def gap(effect: Effect) -> str:
    """`+0.28 points (−0.62 to +1.18) with 5 seeds`."""
    value, _, interval = points(effect).partition(" ")
    if effect.seeds == 1:
        note = f"{interval.strip('()')}; {ONE_SEED}" if interval else "one seed: no interval"
        return f"{value} points ({note})"
    return f"{value} points {interval} with {plural(effect.seeds, 'seed')}".replace("  ", " ")


def costs(overview: Overview, cost: str) -> list[Finding]:
    """The time or the memory of NoProp's chain against the reference's."""
    found = []
    for each in overview.comparisons:
        ours, reference = chain(each), matched(each)
        if ours is None or reference is None:
            continue
        row = each.found.of(ours)
        if cost == "time" and row.time is not None:
            text = f"{code(ours)} takes {ratio(row.time.effect)} times as long as {code(reference)} "
            text += f"({_raced_runs(overview, each)})"
            found.append(Finding(each, row.time.verdict, text, row.time.verdict.value))
        elif cost == "memory" and row.memory is not None:
            held = [number(max(ACTIVATIONS.values(each.data.finished[m]).values())) for m in (ours, reference)]
            text = f"{code(ours)} holds {ratio(row.memory.effect)} of the activations of {code(reference)}, "
            text += f"{held[0]} of {held[1]} MiB{_growth(each, ours)} ({runs_of(overview, each, ours)})"
            found.append(Finding(each, row.memory.verdict, text, row.memory.verdict.value))
    return found


def growth(each: Pool, method: str) -> float | None:
    """By how many times as much as the reference's a method's process grew, parameters and all; None if unknown."""
    means = [RSS_RISE.mean(each.data.finished[name]) for name in (method, str(each.data.reference))]
    return means[0].mean / means[1].mean if means[0] and means[1] and means[1].mean else None


def _growth(each: Pool, method: str) -> str:
    times = growth(each, method)
    return f"; its whole process grows {number(times)} times as much" if times else ""


def mean(each: Pool, method: str) -> float:
    """A method's mean test accuracy, in percent."""
    values = TEST_ACCURACY.values(each.data.finished[method]).values()
    return sum(values) / len(values)


def runs_of(overview: Overview, each: Pool, *methods: str) -> Markdown:
    """The runs that methods of a comparison come from, as links."""
    return overview.links(run for method in methods for run in each.runs[method])


def of_main(overview: Overview, found: Sequence[Finding]) -> list[Finding]:
    """The findings on the main comparisons of each data set."""
    return [each for each in found if each.pool in overview.main]


def by_verdict(found: Sequence[Finding]) -> dict[Verdict, list[Finding]]:
    """The findings of several seeds, and all on costs."""
    return {verdict: [each for each in found if each.verdict is verdict and not each.one_seed] for verdict in Verdict}


def by_word(found: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings by verdict, the better first, then those of one seed by who is ahead."""
    order = list(Verdict)
    words = dict.fromkeys(
        each.word for each in sorted(found, key=lambda each: (each.one_seed, order.index(each.verdict)))
    )
    return {word: [each for each in found if each.word == word] for word in words}


def told(question: Markdown, clauses: Sequence[str], otherwise: str = "It cannot be said.") -> Markdown:
    """A question and its answer: a sentence for one clause, a list below it for several."""
    if len(clauses) < 2:
        return f"{question} {capital(clauses[0])}." if clauses else f"{question} {otherwise}"
    return "\n".join([question, *(f"   - {capital(clause)}." for clause in clauses)])


def names(found: Sequence[Finding], name: Callable[[Pool], str] = lambda pool: pool.name) -> str:
    """`mnist (7 epochs) and digits (20 epochs)`; of many, the first and how many more."""
    return few([name(each.pool) for each in found], MAX_NAMED + 1)


def _raced_runs(overview: Overview, each: Pool) -> Markdown:
    race = next(known for known in each.races if known.race is each.data.race)
    return f"{overview.links(race.runs)}; {race.machine}"
