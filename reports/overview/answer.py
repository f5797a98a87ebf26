"""The answer to ten questions, each computed from the rows, with its numbers and the runs that have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.formats.effects import points, ratio
from reports.formats.markdown import Markdown, capital, code, codes, listed, number, plural
from reports.overview.overview import CHECKPOINT, CNN, ENSEMBLE, Overview, chain, control, one_block
from reports.overview.pooling import Pool
from reports.statistics.effect import Basis, Effect, Verdict
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, depth_profile
from reports.statistics.questions import Row
from reports.view import Family

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
    one_seed: bool = False
    """Whether a difference in accuracy is that of a single seed."""

    @property
    def name(self) -> str:
        """The comparison: `mnist (7 epochs)`."""
        return f"{self.pool.name.removesuffix(')')}, one seed)" if self.one_seed else self.pool.name


def headline(overview: Overview) -> Markdown:
    """The answer to the question under the question, and what NoProp is good for, from each data set's largest part."""
    if not any(chain(each) for each in overview.comparisons):
        return "**These runs cannot say**: none has a finished chain of NoProp beside `backprop`."
    ensemble = _of_main(overview, against(overview, lambda each: control(each, ENSEMBLE)))
    by = _by_verdict(ensemble)
    if by[Verdict.BETTER]:
        text = f"**Denoising beats an average of as many independent classifiers on {_names(by[Verdict.BETTER])}"
        text += f", and loses to it on {_names(by[Verdict.WORSE])}.**" if by[Verdict.WORSE] else ".**"
    elif by[Verdict.WORSE]:
        text = "**Nothing shows that denoising beats an average of as many independent classifiers, and on "
        text += f"{_names(by[Verdict.WORSE])} it loses to it.**"
    elif ensemble:
        text = "**Nothing shows that denoising beats an average of as many independent classifiers.**"
    else:
        text = "**What denoising adds is open**: no run has a chain of NoProp beside as many independent classifiers."
    reached = _by_verdict(_of_main(overview, against(overview, lambda each: each.data.reference)))
    words = {
        Verdict.BETTER: "more accurate than backprop",
        Verdict.EQUIVALENT: "as accurate as backprop",
        Verdict.WORSE: "less accurate than backprop",
        Verdict.UNDECIDED: "not to be told from backprop in accuracy",
    }
    said = [f"{words[verdict]} on {_names(group)}" for verdict, group in reached.items() if group]
    return f"{text} NoProp is {listed(said)}. {_price_of_memory(overview)}".strip()


def sentences(overview: Overview) -> list[Markdown]:
    """The ten."""

    def question(text: str, pick: Pick, needs: str = "") -> Markdown:
        return _question(text, overview, against(overview, pick), needs)

    return [
        question("Does NoProp reach backprop's accuracy?", lambda each: each.data.reference),
        question(
            "Does denoising beat an average of as many independent classifiers?",
            lambda each: control(each, ENSEMBLE),
            code(ENSEMBLE),
        ),
        question("Does the chain beat one block, an ordinary classifier?", one_block, "`noprop[T=1]`"),
        question("Does the chain beat one plain CNN?", lambda each: control(each, CNN), code(CNN)),
        _question("How long does a step of NoProp take?", overview, _costs(overview, "time"), "a race"),
        _question("How much memory does NoProp need?", overview, _costs(overview, "memory")),
        _checkpoint(overview),
        _best(overview),
        _other_rules(overview),
        _change(overview),
    ]


def against(overview: Overview, pick: Pick) -> list[Finding]:
    """NoProp's chain against another method in accuracy, in every comparison that has both."""
    found = []
    for each in overview.comparisons:
        ours, theirs = chain(each), pick(each)
        if ours is None or theirs is None or ours == theirs or (judged := each.against(ours, theirs)) is None:
            continue
        means = {name: number(_mean(each, name), decimals=2) for name in (ours, theirs)}
        text = f"{code(ours)} {means[ours]}%, {code(theirs)} {means[theirs]}%, {gap(judged.effect)} "
        text += f"({_runs(overview, each, ours, theirs)})"
        found.append(Finding(each, judged.verdict, text, judged.effect.seeds == 1))
    return found


def gap(effect: Effect) -> str:
    """`+0.28 points (−0.62 to +1.18) with 5 seeds`."""
    value, _, interval = points(effect).partition(" ")
    if effect.seeds == 1 and not interval:
        return f"{value} points with one seed and no interval"
    note = ", interval over test images alone" if effect.basis is Basis.IMAGES else ""
    return f"{value} points {interval} with {plural(effect.seeds, 'seed')}{note}".replace("  ", " ")


def _costs(overview: Overview, cost: str) -> list[Finding]:
    found = []
    for each in overview.comparisons:
        ours, reference = chain(each), str(each.data.reference)
        if ours is None or ours == reference:
            continue
        row = each.found.of(ours)
        if cost == "time" and row.time is not None:
            text = f"{code(ours)} takes {ratio(row.time.effect)} times as long as {code(reference)} "
            found.append(Finding(each, row.time.verdict, f"{text}({_raced_runs(overview, each)})"))
        elif cost == "memory" and row.memory is not None:
            held = [number(max(ACTIVATIONS.values(each.data.finished[m]).values())) for m in (ours, reference)]
            text = f"{code(ours)} holds {ratio(row.memory.effect)} of the activations of {code(reference)}, "
            text += f"{held[0]} of {held[1]} MiB ({_runs(overview, each, ours)})"
            found.append(Finding(each, row.memory.verdict, text))
    return found


def _question(question: str, overview: Overview, found: Sequence[Finding], needs: str = "") -> Markdown:
    """A question, its answer with numbers on each data set's main comparisons, and the verdicts of the others."""
    if not found:
        return f"**{question}** It cannot be said: no comparison has a chain of NoProp{f' and {needs}' * bool(needs)}."
    shown = _of_main(overview, found) or list(found)
    clauses = [f"{each.verdict} on {each.pool.name}: {each.text}" for each in shown]
    others = _by_verdict([each for each in found if each not in shown])
    said = [f"{verdict} on {_names(group)}" for verdict, group in others.items() if group]
    return _told(f"**{question}**", [*clauses, *([f"elsewhere {'; '.join(said)}"] if said else [])])


def _told(question: Markdown, clauses: Sequence[str], otherwise: str = "It cannot be said.") -> Markdown:
    """A question and its answer: a sentence for one clause, a list below it for several."""
    if len(clauses) < 2:
        return f"{question} {capital(clauses[0])}." if clauses else f"{question} {otherwise}"
    return "\n".join([question, *(f"   - {capital(clause)}." for clause in clauses)])


def _checkpoint(overview: Overview) -> Markdown:
    question = "**Does backpropagation save the memory, too?**"
    said = []
    both = [each for each in overview.comparisons if chain(each) and control(each, CHECKPOINT)]
    for each in [each for each in both if each in overview.main] or both:
        ours, theirs = str(chain(each)), str(control(each, CHECKPOINT))
        parts = [_price(each.found.of(name), name) for name in (theirs, ours)]
        said.append(f"on {each.name}, {listed(parts)} ({_runs(overview, each, ours, theirs)})")
    missing = f"It cannot be said: no comparison has a chain of NoProp and {code(CHECKPOINT)}."
    return _told(question, said, missing)


def _price(row: Row, method: str) -> str:
    memory = (
        f"holds {ratio(row.memory.effect)} of backprop's activations" if row.memory else "has no count of activations"
    )
    time = f"in {ratio(row.time.effect)} times the time" if row.time else "in a time that was not raced"
    return f"{code(method)} {memory} {time}"


def _price_of_memory(overview: Overview) -> str:
    for each in overview.main:
        ours, theirs = chain(each), control(each, CHECKPOINT)
        row = each.found.of(ours) if ours else None
        if row is None or row.memory is None or row.memory.verdict is not Verdict.BETTER:
            continue
        text = f"On {each.name} it holds {ratio(row.memory.effect)} of the activations"
        other = each.found.of(theirs).memory if theirs else None
        if theirs is None or other is None or other.ratio > row.memory.ratio * (1 + each.data.margins.memory):
            return f"{text} of {code(str(each.data.reference))}."
        time = each.found.of(theirs).time
        price = f", in {ratio(time.effect)} times the time" if time else ""
        return f"{text} of {code(str(each.data.reference))}, and so does backpropagation with checkpointing{price}."
    return ""


def _best(overview: Overview) -> Markdown:
    said = []
    for each in overview.main:
        rows = each.found.rows
        better = [row.method for row in rows if row.accuracy and row.accuracy.verdict is Verdict.BETTER]
        shown = f"shown to be better than {code(str(each.data.reference))}: {codes(better) if better else 'none'}"
        top = rows[0]
        parts = [f"the most accurate is {code(top.method)} ({number(top.test_accuracy or 0.0, decimals=2)}%; {shown})"]
        for cost, what in (("time", "fastest"), ("memory", "leanest")):
            costed = [row for row in rows if getattr(row, cost) is not None]
            least = min(costed, key=lambda row: getattr(row, cost).ratio, default=None)
            if least is not None and getattr(least, cost).ratio < 1:
                parts.append(f"the {what} {code(least.method)} ({number(getattr(least, cost).ratio)} times)")
        said.append(f"on {each.name}, {listed(parts)} ({overview.links(each.all_runs)})")
    return _told("**Which method is best?**", said)


def _other_rules(overview: Overview) -> Markdown:
    question = "**Does another rule without backpropagation through the network do better?**"
    said = []
    for each in overview.main:
        rows = [row for row in each.found.rows if each.data.families[row.method] is Family.OTHER and row.accuracy]
        if not rows or rows[0].accuracy is None:
            continue
        best, judged = rows[0], rows[0].accuracy
        text = f"on {each.name}, the most accurate of {len(rows)} is {code(best.method)} with "
        text += f"{number(best.test_accuracy or 0.0, decimals=2)}%, against {code(str(each.data.reference))} "
        said.append(f"{text}{gap(judged.effect)}: {judged.verdict} ({_runs(overview, each, best.method)})")
    return _told(question, said, "It cannot be said: none has been run.")


def _change(overview: Overview) -> Markdown:
    cells = [cell for each in overview.pools for cell in each.data.cells]
    cards = sum(not cell.config.device.startswith("cpu") for cell in cells)
    parts = [f"A card: {plural(cards, 'row') if cards else 'no row'} of {len(cells):,} ran on one."]
    shapes = [cell.data.shape[1:] for cell in cells if cell.data is not None]
    if shapes:
        parts.append(f"Larger images: the largest here are {' × '.join(map(str, max(shapes)))} pixels.")
    return f"**What would change it?** {' '.join(parts)} Deeper stacks: {_depth(overview)}."


def _depth(overview: Overview) -> str:
    """What the deepest stack that was counted holds."""
    for each in overview.main:
        ours, theirs = chain(each), each.data.reference
        if ours is None or theirs is None:
            continue
        profiles = [depth_profile(each.data.finished[name]) for name in (ours, theirs)]
        deepest = max(profiles[0].keys() & profiles[1].keys(), default=None)
        if deepest is not None:
            held, whole = (max(profile[deepest]) for profile in profiles)
            return (
                f"at T = {deepest}, {code(ours)} holds {number(held / whole, 2)} of the activations of {code(theirs)} "
                f"on {each.name} ({_runs(overview, each, ours)}), a gain that grows with T"
            )
    return "no row counts what other depths hold"


def _mean(each: Pool, method: str) -> float:
    values = TEST_ACCURACY.values(each.data.finished[method]).values()
    return sum(values) / len(values)


def _runs(overview: Overview, each: Pool, *methods: str) -> Markdown:
    return overview.links(run for method in methods for run in each.runs[method])


def _raced_runs(overview: Overview, each: Pool) -> Markdown:
    race = next(known for known in each.races if known.race is each.data.race)
    return f"{overview.links(race.runs)}; {race.machine}"


def _of_main(overview: Overview, found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if each.pool in overview.main]


def _by_verdict(found: Sequence[Finding]) -> dict[Verdict, list[Finding]]:
    return {verdict: [each for each in found if each.verdict is verdict] for verdict in Verdict}


def _names(found: Sequence[Finding]) -> str:
    """`mnist (7 epochs) and digits (20 epochs)`; of many, the first and how many more."""
    names = [each.name for each in found]
    if len(names) > MAX_NAMED + 1:
        names = [*names[:MAX_NAMED], f"{len(names) - MAX_NAMED} more"]
    return listed(names)
