"""What a referee and an engineer ask first, answered from the rows."""

from __future__ import annotations

from reports.formats.markdown import Markdown, capital, code, codes, few, listed, number, plural, ranges
from reports.grid_view import grid_views
from reports.overview.conditions import OWN_WHEN_TUNED
from reports.overview.findings import MAX_NAMED, gap, growth, told
from reports.overview.overview import (
    CHAIN,
    CHECKPOINT,
    CNN,
    ENSEMBLE,
    MIN_SEEDS,
    Overview,
    chain,
    control,
    least_seeds,
    one_block,
)
from reports.overview.pooling import Pool
from reports.published.paper import published
from reports.statistics.best_rate import best_rate
from reports.statistics.measures import PREDICT_FLOPS, TRAIN_FLOPS
from reports.statistics.outcome import is_followed, outcome
from reports.view import REFERENCE
from results.schema import CellResult

CONTROLS = {
    ENSEMBLE: "as many independent classifiers",
    CNN: "one plain CNN",
    CHECKPOINT: "memory saved by recomputing",
    "backprop-accumulate": "memory saved by smaller batches",
    "backprop-deep-supervision": "a loss at every block",
    "noprop-attached": "NoProp with gradients between blocks",
}
PAPERS_DATA = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def answers(overview: Overview) -> list[Markdown]:
    """The answers, in order."""
    return [
        _fair(overview),
        _seeds(overview),
        _tuned(overview),
        _compute(overview),
        _memory(overview),
        _controls(overview),
        _data(overview),
        _card(overview),
        _depth(overview),
        "**Can I repeat it?** The report of each run has its command and commit; with the same versions and threads on "
        "the same kind of machine, seeds fix everything but times. "
        "`make overview` makes this page from the rows, and a test compares the two.",
        _trained(overview),
    ]


def _fair(overview: Overview) -> Markdown:
    text = (
        "**Is it fair?** In a comparison all methods have the same data, split, epochs, batches, optimiser and "
        "precision, and those on the stack the same blocks; what counts as no difference was declared beforehand. The "
        "`details.md` of a run lists what is not matched"
    )
    said = []
    for each in overview.main:
        ours = chain(each)
        named = [ours, each.data.reference, one_block(each), control(each, ENSEMBLE), control(each, CNN)]
        sizes = {
            name: each.data.finished[name][0].parameters
            for name in named
            if ours is not None and name is not None and _same_features(each, name, ours)
        }
        counted = [f"{number(size / 1e6)} ({code(name)})" for name, size in sizes.items() if size]
        if len(counted) > 2:
            said.append(f"on {each.name} {listed(counted)}")
    return told(f"{text}, above all the size, here in millions of parameters.", said) if said else f"{text}."


def _same_features(each: Pool, method: str, other: str) -> bool:
    """Whether the linear layers of two methods read the same, so that their sizes can be held against each other."""
    return each.options_of(method).get("features") == each.options_of(other).get("features")


def _seeds(overview: Overview) -> Markdown:
    said = [f"{each.name}: {ranges(sorted({cell.seed for cell in each.data.cells}))}" for each in overview.main]
    pools = overview.comparisons
    few = sum(least_seeds(each) < MIN_SEEDS for each in pools)
    text = f"**Which seeds?** {capital('; '.join(said))}."
    return f"{text} In {few} of {len(pools)} comparisons, NoProp or the reference has fewer than {MIN_SEEDS}."


def _tuned(overview: Overview) -> Markdown:
    said = []
    for each in overview.comparisons:
        ours, theirs = chain(each), each.data.reference
        if each.conditions.search is None or ours is None or theirs is None:
            continue
        judged = each.against(ours, theirs)
        if judged is not None:
            text = f"on {each.name}, after {each.conditions.search[0]} trials for each method, {code(ours)} against "
            text += f"{code(theirs)}: {gap(judged.effect)}, {judged.verdict} ({overview.links(each.all_runs)})"
            said.append(text)
    untuned = "All other rows are untuned" if said else "No: all rows are untuned"
    usual = published().training_of_all
    other = [
        each.name
        for each in overview.pools
        if each.conditions.search is None
        and any(each.conditions.by_name[name] != getattr(usual, name) for name in OWN_WHEN_TUNED)
    ]
    settings = f"with the paper's learning rate and weight decay{f', but for {listed(other)}' if other else ''}"
    rates = "".join(f" {capital(each)}." for each in _rates(overview))
    found = f"{capital('; '.join(said))}. " if said else ""
    return f"**Tuned?** {found}{untuned}, {settings}.{rates}"


def _rates(overview: Overview) -> list[Markdown]:
    """What NoProp and the reference would gain by another learning rate, where it was varied."""
    said = []
    for each in overview.skipped:
        if each.grid is None or each.grid.record.setting != "lr":
            continue
        for view in grid_views(each.grid):
            rates = {
                name: best_rate(view.cells[name], view.default) for name in (CHAIN, REFERENCE) if name in view.cells
            }
            parts = [
                f"{code(name)} is at its best at the default {best.rate:g}"
                if best.rate == view.default
                else f"{code(name)} would gain {number(best.gain.mean, decimals=1)} points at {best.rate:g}"
                + (", the end of what was tried," if best.is_end else "")
                for name, best in rates.items()
                if best is not None and best.gain is not None
            ]
            if parts:
                seeds = plural(len({point.cell.seed for point in each.grid.record.points}), "seed")
                rows = [row for by_rate in view.cells.values() for found in by_rate.values() for row in found]
                images = max((row.data.n_val for row in rows if row.data is not None), default=0)
                text = f"by the learning rate alone, on {plural(images, 'validation image')} of {view.dataset}, "
                said.append(f"{text}{listed(parts)} ({seeds}; {overview.link(each.name, each.folder)})")
    return said


def _compute(overview: Overview) -> Markdown:
    said = []
    for each in overview.main:
        ours, theirs = chain(each), each.data.reference
        if ours is None or theirs is None:
            continue
        counts = [max(TRAIN_FLOPS.values(each.data.finished[name]).values(), default=0.0) for name in (ours, theirs)]
        if not all(counts):
            continue
        parts = [f"NoProp needs {number(counts[0] / counts[1])} times the operations of {code(theirs)} in training"]
        controls = [name for name in (control(each, ENSEMBLE), control(each, CNN)) if name != theirs]
        parts += [_to_train(each, name, counts[1]) for name in controls]
        images = [_to_predict(each, name) for name in dict.fromkeys((ours, theirs, control(each, CNN)))]
        counted = [image for image in images if image]
        said.append(f"on {each.name}, {listed([part for part in parts if part])}")
        said[-1] += f"; inference of an image takes {listed(counted)}" if counted else ""
    text = "**The same compute?** In a comparison, the epochs are the same."
    return told(text, said, "No row counts operations.")


def _to_train(each: Pool, method: str | None, whole: float) -> str:
    """What training a control takes of the reference's operations; empty if it was not run or not counted."""
    count = max(TRAIN_FLOPS.values(each.data.finished[method]).values(), default=0.0) if method else 0.0
    return f"{code(method)} {number(count / whole)}" if method and count else ""


def _to_predict(each: Pool, method: str | None) -> str:
    """Operations of the inference of an image; empty if they were not counted."""
    count = max(PREDICT_FLOPS.values(each.data.finished[method]).values(), default=0.0) if method else 0.0
    return f"{number(count)} MFLOP ({code(method)})" if method and count else ""


def _memory(overview: Overview) -> Markdown:
    said = []
    for each in overview.main:
        names = [name for name in (chain(each), control(each, ENSEMBLE), control(each, CNN)) if name]
        others = [name for name in names if name != each.data.reference]
        grown = [f"{number(times)} ({code(name)})" for name in others if (times := growth(each, name))]
        said += [f"on {each.name} {listed(grown)}"] if grown else []
    text = "**The same memory?** No, memory is a result. Activations are what a step holds for the backward pass. "
    text += "Parameters, gradients and the optimiser's state come on top; a run's `details.md` has the peak of each "
    text += "process. Here is by how many times as much as the reference's a process grows."
    return told(text, said, "no row says it.")


def _controls(overview: Overview) -> Markdown:
    parts = []
    for each in overview.main:
        missing = [name for name in CONTROLS if control(each, name) is None]
        missing += ["noprop[T=1]"] if one_block(each) is None else []
        there = [name for name in [*CONTROLS, "noprop[T=1]"] if name not in missing]
        what = "all of them" if not missing else f"all but {codes(missing)}" if len(missing) < 3 else codes(there)
        parts.append(f"on {each.name} there {'is' if len(there) < 2 else 'are'} {what if there else 'none'}")
    listing = [f"{code(name)} ({what})" for name, what in CONTROLS.items()]
    return told(f"**Which controls?** {', '.join(listing)} and `noprop[T=1]` (one block).", parts)


def _data(overview: Overview) -> Markdown:
    images = {cell.dataset: cell.data.n_test for cell in _cells(overview) if cell.data is not None}
    said = [f"{name} ({plural(count, 'test image')})" for name, count in images.items()]
    missing = [name for key, name in PAPERS_DATA.items() if not any(_is(key, dataset) for dataset in images)]
    text = f"**Why this data?** It is the paper's, or small enough for one CPU: {listed(said)}."
    text += " A few hundred test images cannot settle half a point."
    return (
        f"{text} Of the paper's, {listed(missing)} {'is' if len(missing) == 1 else 'are'} missing." if missing else text
    )


def _is(key: str, dataset: str) -> bool:
    return dataset.replace("-", "").partition("[")[0] == key


def _card(overview: Overview) -> Markdown:
    cards = sorted({str(cell.environment.gpu) for cell in _cells(overview) if not cell.config.device.startswith("cpu")})
    machines = sorted({known.machine for each in overview.pools for known in each.races})
    text = f"Rows were trained on {listed(cards)}" if cards else "GPU figures are missing"
    raced = f"times were raced on {listed(machines)}" if machines else "nothing was raced"
    return f"**A card?** {text}; {raced}. A ratio of times holds for its machine alone."


def _depth(overview: Overview) -> Markdown:
    """NoProp against backpropagation at each depth that both were trained with."""
    said = []
    for each in overview.comparisons:
        theirs = next(iter(_by_depth(each, REFERENCE).values()), {})
        by_form = _by_depth(each, CHAIN)
        shared = {form: sorted(ours.keys() & theirs.keys()) for form, ours in by_form.items()}
        form = max(shared, key=lambda form: (len(shared[form]), form == "mean"), default=None)
        gaps = {depth: each.against(by_form[form][depth], theirs[depth]) for depth in shared.get(form, ())}
        known = [f"{gap(judged.effect)} at T = {depth}" for depth, judged in gaps.items() if judged is not None]
        if len(known) > 1:
            how = "by the mean" if form == "mean" else "by sampling"
            text = f"on {each.name}, NoProp with inference {how} is, from backprop of its depth, {listed(known)}"
            low, high = min(shared[form]), max(shared[form])
            own = each.against(by_form[form][high], by_form[form][low])
            text += f"; from T = {low} to T = {high} its own accuracy changes by {gap(own.effect)}" if own else ""
            said.append(text)
    if said:
        return f"**Depth?** {capital('; '.join(said))}."
    depths = sorted({d for each in overview.comparisons for form in _by_depth(each, CHAIN).values() for d in form})
    return f"**Depth?** NoProp was trained with T = {listed([str(depth) for depth in depths])} alone."


def _trained(overview: Overview) -> Markdown:
    """The epochs beside the paper's, and who was still learning at the end."""
    theirs = published().training_of(CHAIN)
    said: list[str] = []
    unknown: list[str] = []
    for each in overview.main:
        full = next((n for key, n in theirs.epochs.items() if _is(key, each.data.name)), None) if theirs else None
        text = f"on {each.name}" + (f" (the paper has {full} epochs)" if full else "")
        trainings = {name: cells for name, cells in each.data.finished.items() if _is_own_training(name, cells)}
        outcomes = {name: outcome(each.data, name) for name, cells in trainings.items() if is_followed(cells)}
        rising = sorted((-found.rise, name) for name, found in outcomes.items() if found.rise is not None)
        if not outcomes:
            unknown.append(text)
            continue
        named = few([f"{code(name)} (+{number(-rise, decimals=1)} points)" for rise, name in rising], MAX_NAMED)
        count = f"{len(rising)} of {plural(len(outcomes), 'training')} {'was' if len(rising) == 1 else 'were'}"
        said.append(f"{text}, {count} still learning in the last fifth{f': {named}' if rising else ''}")
    if unknown:
        said.append(f"{listed(unknown)}, too few epochs were validated to say")
    return f"**Trained to the end?** By validation accuracy: {'; '.join(said)}."


def _is_own_training(method: str, cells: list[CellResult]) -> bool:
    """Whether it is no further inference of another method's training."""
    return bool(cells) and cells[0].trained_with in (None, method)


def _by_depth(each: Pool, name: str) -> dict[object, dict[int, str]]:
    """The labels of a method by form of inference and depth; of several of the same, the shortest."""
    found: dict[object, dict[int, str]] = {}
    for method in sorted(each.data.drawn, key=len, reverse=True):
        options = each.options_of(method)
        if each.name_of(method) == name and "T" in options:
            found.setdefault(options.get("sampler"), {})[int(options["T"])] = method
    return found


def _cells(overview: Overview) -> list[CellResult]:
    return [cell for each in overview.pools for cell in each.data.cells]
