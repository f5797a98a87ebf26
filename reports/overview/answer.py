"""The answer to ten questions, each computed from the rows, with its numbers and the runs that have them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports.formats.effects import ratio
from reports.formats.markdown import Markdown, code, codes, listed, number, plural
from reports.overview.findings import (
    Finding,
    Pick,
    against,
    by_sampling,
    by_verdict,
    by_word,
    costs,
    gap,
    growth,
    names,
    of_main,
    runs_of,
    standing,
    told,
)
from reports.overview.labels import is_old
from reports.overview.overview import (
    CHECKPOINT,
    CNN,
    ENSEMBLE,
    MIN_SEEDS,
    Overview,
    chain,
    control,
    least_seeds,
    matched,
    one_block,
)
from reports.overview.pooling import Pool
from reports.statistics.effect import Verdict
from reports.statistics.measures import depth_profile
from reports.statistics.questions import Row
from reports.view import Family


def headline(overview: Overview) -> Markdown:
    """The answer to the question under the question, and what NoProp is good for, from each data set's largest part."""
    if not any(chain(each) for each in overview.comparisons):
        return "**These runs cannot say**: none has a finished chain of NoProp beside `backprop`."
    ensemble = of_main(overview, against(overview, lambda each: control(each, ENSEMBLE)))
    by = by_verdict(ensemble)
    if by[Verdict.BETTER]:
        text = f"**Denoising beats an average of as many independent classifiers on {names(by[Verdict.BETTER])}"
        text += f", and loses to it on {names(by[Verdict.WORSE])}.**" if by[Verdict.WORSE] else ".**"
    elif by[Verdict.WORSE]:
        text = "**Nothing shows that denoising beats an average of as many independent classifiers, and on "
        text += f"{names(by[Verdict.WORSE])} it loses to it.**"
    elif ensemble:
        text = "**Nothing shows that denoising beats an average of as many independent classifiers.**"
    else:
        text = "**What denoising adds is open**: no run has a chain of NoProp beside as many independent classifiers."
    noisy = by_sampling(overview)
    form = ", with inference by the mean where that was run" if noisy else ""
    parts = {
        f"Against the ensemble{form}": listed([_by_how_much(each) for each in sorted(ensemble, key=_open)]),
        f"Against backprop{form}": _reached(of_main(overview, against(overview, matched))),
        "Against backprop, with inference by sampling, where both were run": _reached(noisy),
        "Memory": _price_of_memory(overview),
    }
    return "\n".join([f"{text}\n", *(f"- {what}: {said}." for what, said in parts.items() if said)]).strip()


def _open(finding: Finding) -> tuple[bool, bool]:
    """Sorts what several seeds say before what one does, and what is open last."""
    return _lead(finding) is None, finding.one_seed


def _lead(finding: Finding) -> str | None:
    """By how many points NoProp is ahead or behind, where that is more than chance."""
    known = finding.difference
    if known is None or known.alone is None or not known.alone.excludes_zero():
        return None
    return f"{number(abs(known.value), decimals=2)} points {'ahead' if known.value > 0 else 'behind'}"


def _by_how_much(finding: Finding) -> str:
    """`0.19 points behind, within the margin, on mnist (3 epochs)`, or the verdict."""
    lead = _lead(finding)
    if lead is None:
        return f"{finding.word} on {finding.pool.name}"
    if finding.one_seed:
        lead += ", with one seed,"
    elif finding.verdict is Verdict.EQUIVALENT:
        lead += ", within the margin,"
    return f"{lead} on {finding.pool.name}"


def _reached(found: Sequence[Finding]) -> str:
    """How NoProp stands to backprop: first what several seeds say, then who is ahead with one."""
    words = {
        Verdict.BETTER: "more accurate",
        Verdict.EQUIVALENT: "as accurate within the margin",
        Verdict.WORSE: "less accurate",
        Verdict.UNDECIDED: "undecided",
    }
    said = [
        f"{words[verdict]} on {names(group, _with_reference)}" for verdict, group in by_verdict(found).items() if group
    ]
    single = by_word(_single(found)).items()
    return listed([*said, *(f"{word} on {names(group, _with_reference)}" for word, group in single)])


def _with_reference(pool: Pool) -> str:
    """A comparison's name, with its reference if a former default is in its label."""
    reference = str(pool.data.reference)
    named = is_old(pool.options_of(reference)) and reference != pool.name_of(reference)
    return f"{pool.name[:-1]}; {code(reference)})" if named else pool.name


def _single(found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if each.one_seed]


def sentences(overview: Overview) -> list[Markdown]:
    """The ten."""

    def question(text: str, pick: Pick, needs: str = "") -> Markdown:
        return _question(text, overview, against(overview, pick), needs)

    return [
        _question(
            "Does NoProp reach backprop's accuracy?",
            overview,
            against(overview, matched, both=True),
        ),
        question(
            "Does denoising beat an average of as many independent classifiers?",
            lambda each: control(each, ENSEMBLE),
            code(ENSEMBLE),
        ),
        question("Does the chain beat one block, an ordinary classifier?", one_block, "`noprop[T=1]`"),
        question("Does the chain beat one plain CNN?", lambda each: control(each, CNN), code(CNN)),
        _question("How long does a step of NoProp take?", overview, costs(overview, "time"), "a race"),
        _question("How much memory does NoProp need?", overview, costs(overview, "memory")),
        _checkpoint(overview),
        _best(overview),
        _other_rules(overview),
        _change(overview),
    ]


def _question(question: str, overview: Overview, found: Sequence[Finding], needs: str = "") -> Markdown:
    """A question, its answer with numbers on each data set's main comparisons, and the verdicts of the others."""
    if not found:
        return f"**{question}** It cannot be said: no comparison has a chain of NoProp{f' and {needs}' * bool(needs)}."
    shown = of_main(overview, found) or list(found)
    clauses = [f"{each.word} on {each.pool.name}: {each.text}" for each in shown]
    others = by_word([each for each in found if each not in shown])
    said = [f"{word} on {names(group)}" for word, group in others.items()]
    return told(f"**{question}**", [*clauses, *([f"elsewhere {'; '.join(said)}"] if said else [])])


def _checkpoint(overview: Overview) -> Markdown:
    question = "**Does backpropagation save the memory, too?**"
    said = []
    both = [each for each in overview.comparisons if chain(each) and control(each, CHECKPOINT)]
    for each in [each for each in both if each in overview.main] or both:
        ours, theirs = str(chain(each)), str(control(each, CHECKPOINT))
        parts = [_price(each, name) for name in (theirs, ours)]
        said.append(f"on {each.name}, {listed(parts)} ({runs_of(overview, each, ours, theirs)})")
    missing = f"It cannot be said: no comparison has a chain of NoProp and {code(CHECKPOINT)}."
    return told(question, said, missing)


def _price(each: Pool, method: str) -> str:
    row, grown = each.found.of(method), growth(each, method)
    memory = (
        f"holds {ratio(row.memory.effect)} of backprop's activations" if row.memory else "has no count of activations"
    )
    memory += f" and grows its process {number(grown)} times as much" if grown else ""
    time = f"in {ratio(row.time.effect)} times the time" if row.time else "in a time that was not raced"
    return f"{code(method)} {memory} {time}"


def _price_of_memory(overview: Overview) -> str:
    for each in overview.main:
        ours, theirs = chain(each), control(each, CHECKPOINT)
        row = each.found.of(ours) if ours and matched(each) else None
        if row is None or row.memory is None or row.memory.verdict is not Verdict.BETTER:
            continue
        text = f"on {each.name}, NoProp holds {ratio(row.memory.effect)} of the activations"
        other = each.found.of(theirs).memory if theirs else None
        if theirs is None or other is None or other.ratio > row.memory.ratio * (1 + each.data.margins.memory):
            return f"{text} of {code(str(each.data.reference))}"
        time = each.found.of(theirs).time
        price = f", in {ratio(time.effect)} times the time" if time else ""
        return f"{text} of {code(str(each.data.reference))}, and so does backpropagation with checkpointing{price}"
    return ""


def _best(overview: Overview) -> Markdown:
    said = []
    for each in overview.main:
        rows = _settled(each)
        seeds = len(each.data.finished[rows[0].method])
        accuracy = number(rows[0].test_accuracy or 0.0, decimals=2)
        top = [code(row.method) for row in rows if number(row.test_accuracy or 0.0, decimals=2) == accuracy]
        better = [row.method for row in rows if row.accuracy and row.accuracy.verdict is Verdict.BETTER]
        shown = f"shown to be better than {code(str(each.data.reference))}: {codes(better) if better else 'none'}"
        how = f"with {plural(seeds, 'seed')}" if seeds > 1 else "with one seed, which shows nothing of others"
        how += f"; {shown}" if seeds > 1 and rows[0].method != each.data.reference else ""
        parts = [f"the most accurate {'is' if len(top) == 1 else 'are'} {listed(top)} ({accuracy}% {how})"]
        for cost, what in (("time", "fastest"), ("memory", "leanest")):
            costed = [row for row in rows if getattr(row, cost) is not None]
            least = min(costed, key=lambda row: getattr(row, cost).ratio, default=None)
            if least is not None and getattr(least, cost).ratio < 1:
                parts.append(f"the {what} {code(least.method)} ({number(getattr(least, cost).ratio)} times)")
        said.append(f"on {each.name}, {listed(parts)} ({overview.links(each.all_runs)})")
    return told("**Which method is best?**", said)


def _settled(each: Pool) -> list[Row]:
    """The rows with at least half as many seeds as any: one seed more or less lucky is no best method."""
    seeds = {row.method: len(each.data.finished[row.method]) for row in each.found.rows}
    return [row for row in each.found.rows if 2 * seeds[row.method] >= max(seeds.values())]


def _other_rules(overview: Overview) -> Markdown:
    question = "**Does another rule without backpropagation through the network do better?**"
    said = []
    for each in overview.main:
        rows = [row for row in _settled(each) if each.data.families[row.method] is Family.OTHER and row.accuracy]
        if not rows or rows[0].accuracy is None:
            continue
        best, judged = rows[0], rows[0].accuracy
        text = f"on {each.name}, the most accurate of {len(rows)} is {code(best.method)} with "
        text += f"{number(best.test_accuracy or 0.0, decimals=2)}%, against {code(str(each.data.reference))} "
        word = standing(judged.verdict, judged.effect)
        together = " when all methods are judged together" if judged.leaning and judged.effect.seeds > 1 else ""
        said.append(f"{text}{gap(judged.effect)}: {word}{together} ({runs_of(overview, each, best.method)})")
    return told(question, said, "It cannot be said: none has been run.")


def _change(overview: Overview) -> Markdown:
    cells = [cell for each in overview.pools for cell in each.data.cells]
    cards = sum(not cell.config.device.startswith("cpu") for cell in cells)
    pools = overview.comparisons
    few = sum(least_seeds(each) < MIN_SEEDS for each in pools)
    parts = [
        f"More seeds: in {few} of {plural(len(pools), 'comparison')}, NoProp or the reference has fewer than five."
    ]
    stuck = {
        each.name: _images(each)
        for each in pools
        if any(r.accuracy and r.accuracy.needs_images for r in each.found.rows)
    }
    if stuck:
        said = listed([f"the {images:,} of {name}" for name, images in stuck.items()])
        parts.append(f"More test images: with {said}, no number of seeds would decide every difference.")
    else:
        parts.append("More test images: where seeds are few, it is not known whether there are enough.")
    parts.append(f"A card: {plural(cards, 'row') if cards else 'no row'} of {len(cells):,} ran on one.")
    shapes = [cell.data.shape[1:] for cell in cells if cell.data is not None]
    if shapes:
        parts.append(f"Larger images: the largest here are {' × '.join(map(str, max(shapes)))} pixels.")
    return f"**What would change it?** {' '.join(parts)} Deeper stacks: {_depth(overview)}."


def _images(each: Pool) -> int:
    return max((cell.data.n_test for cell in each.data.cells if cell.data is not None), default=0)


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
            share = number(held / whole if whole else math.inf if held else 1.0, 2)
            return (
                f"at T = {deepest}, counted without training, {code(ours)} holds {share} of the activations of "
                f"{code(theirs)} on {each.name} ({runs_of(overview, each, ours)}), a gain that grows with T; what "
                "depth does to accuracy is told below (Depth)"
            )
    return "no row counts what other depths hold"
