"""The words of `report.md`: sections in the order in which a reader who opens it cold would ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from reports import tables
from reports.figures.figure import FigureFile
from reports.formats.markdown import MISSING, PICTURE_FILES, code, codes, listed, number, plural, ranges
from reports.sections import (
    calibration,
    diagnostics,
    energy,
    machine,
    microbench,
    paper,
    parallel,
    pareto,
    provenance,
    ranking,
    targets,
    verdict,
)
from reports.sections.limitations import caveats
from reports.sections.matching import Mismatch, mismatches
from reports.statistics.estimates import BOOTSTRAP_FROM, estimate, paired_differences, paired_ratios, ratio_estimate
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_SECONDS, Measure, depth_profile
from reports.view import REFERENCE, DatasetView, RunView, moment

SHOWN_ELSEWHERE = {"trade-off", "activations-by-depth", "blocks", "blocks-by-epoch", "accuracy-by-step"}
"""Figures that stand beside a table of their own; all others are in the section Figures."""


def page(view: RunView, figures: Mapping[str, Mapping[str, FigureFile]], folder: str, drawn_at_most: int) -> str:
    """The whole report.

    Args:
        view: the run.
        figures: by data set, then by name, as `catalogue.draw` gives them.
        folder: where the figures are, relative to the report.
        drawn_at_most: methods in one figure; the report says so where there are more.
    """
    blocks = [*_opening(view)]
    for data in view.datasets:
        blocks += _dataset(data, view, figures.get(data.name, {}), folder, drawn_at_most)
    blocks += microbench.section(view)
    unmatched = mismatches(view)
    blocks += [*machine.section(view), *provenance.sections(view, unmatched), *_limits(view, unmatched)]
    return "\n\n".join(blocks) + "\n"


def _opening(view: RunView) -> Iterator[str]:
    record = view.record
    names = [data.name for data in view.datasets]
    seeds = sorted({cell.seed for cell in record.cells})
    epochs = sorted({cell.config.epochs for cell in record.cells})
    finished = len(record.cells) - len(view.missing)
    what = "calibration" if record.purpose == "calibration" else "report"
    yield f"# NoProp-Bench {what}: {', '.join(names)}"
    yield (
        f"This run trained {plural(len(view.methods), 'method')} ({codes(view.methods)}) on "
        f"{plural(len(names), 'data set')} ({', '.join(names)}) for {' or '.join(map(str, epochs))} "
        f"{'epoch' if epochs == [1] else 'epochs'} with {plural(len(seeds), 'seed')} "
        f"({ranges(seeds)}), and measured accuracy, wall-clock time and peak memory. Each method, data set and seed "
        f"is one cell; {finished:,} of {plural(len(record.cells), 'cell')} finished. What differs between the methods "
        "apart from the training rule is listed under [Configuration](#configuration), and what cannot be concluded "
        "under [What this does not show](#what-this-does-not-show)."
    )
    facts = [f"- Run: {code(record.run_id)}", f"- Created: {moment(record.created_at)}"]
    commits = sorted({cell.environment.commit or "unknown" for cell in view.cells})
    yield "\n".join([*facts, f"- Code: commit {codes(commits)}", "- To reproduce it:"])
    yield f"```sh\n{record.command.strip()}\n```"
    yield (
        "In every table **±** is half of a 95% interval for the mean over seeds (Student t; from "
        f"{BOOTSTRAP_FROM} seeds on the studentised bootstrap), and *seeds* is the number of seeds behind the row; a "
        "single seed has no interval. Standard deviations have a table of their own. "
        f"{MISSING} stands for a figure that was not measured."
    )
    yield PICTURE_FILES


def _dataset(
    data: DatasetView, view: RunView, figures: Mapping[str, FigureFile], folder: str, drawn_at_most: int
) -> Iterator[str]:
    yield f"## Results: {data.name}"
    if not data.drawn:
        yield "No cell of this data set finished, so there is nothing to show for it."
        return

    yield "### Accuracy and time"
    yield tables.accuracy_and_time(data)
    yield (
        "Accuracies are those after the last epoch; no epoch is chosen by its accuracy. Training seconds are those "
        "of the training loop (cutting batches, the steps, reports of progress): evaluation, loading data and warm-up "
        "are not in them."
    )
    if data.groups:
        yield "Above each group of methods stands, in italics, how credit reaches their weights."
    yield from machine.flags(data, view.sharing)
    yield "### Memory and size"
    yield tables.memory_and_size(data)
    yield (
        "MiB are 2²⁰ bytes. *Peak resident* is the kernel's own mark. *Rise over baseline* is the peak "
        "minus what the process held just before the model was built. *Activations held for backward* is the peak "
        "of one training step, counted exactly, and holds no parameters, gradients or optimiser state; those two are "
        "exact, too. Nothing in this table is sampled."
    )
    if gpu := tables.gpu_memory(data):
        yield gpu
        yield (
            "*Allocated* and *reserved* are exact peaks of PyTorch's allocator (live tensors; taken from the driver). "
            "*Process* is the driver's own figure, read once, at the end of training, with the CUDA context."
        )
        if theirs := paper.gpu_memory(data):
            yield theirs
    if work := tables.work(data):
        yield "### Work"
        yield work
        yield (
            "FLOPs (floating-point operations) are counted, not timed, on one full batch: those of matrix products and "
            "convolutions alone, a multiplication and an addition as two. Normalisation, activation functions, noise "
            "and the optimiser's update are not in them, and a processor does not work off all of them equally fast. "
            "*Training* is one step forward and backward, what is computed twice counted twice; *prediction* is of the "
            "class."
        )
    if spread := tables.spread(data):
        yield "### Spread over seeds"
        yield spread
        yield (
            "Sample standard deviations over seeds: how far single seeds lie from their mean, where ± in the other "
            "tables is about how well the mean itself is known. What is counted exactly does not vary and is left out."
        )
    yield from energy.section(data, view.sharing)
    yield from parallel.section(data)
    if view.record.purpose == "calibration":
        yield from calibration.against_itself(data, view.calibration)
        return
    yield "### Compared with backprop, seed by seed"
    yield from _ratios(data)
    yield from calibration.noise(data)
    for section in (verdict.section, ranking.section):
        if text := section(view, data):
            yield text
    yield from paper.section(data)
    on_the_front = list(pareto.sentences(data))
    if on_the_front or "trade-off" in figures:
        yield "### Accuracy against cost"
    if on_the_front:
        yield "\n".join(f"- {sentence}" for sentence in on_the_front)
        yield (
            "A method is beaten by one that is at least as good in both and better in one; those that none beats are "
            "the Pareto front, here with the cheapest first. Judged by means over seeds alone: chance may have put "
            "neighbours in each other's place, which the verdict looks into."
        )
    yield from _figure(figures.get("trade-off"), folder)
    yield "### Reaching a validation accuracy"
    yield from targets.section(data)
    yield "### Figures"
    if len(data.drawn) > drawn_at_most:
        yield f"The figures show the first {drawn_at_most} of the {len(data.drawn)} methods; the tables have all."
    for name, figure in figures.items():
        if name not in SHOWN_ELSEWHERE:
            yield from _figure(figure, folder)
    if by_depth := tables.activations_by_depth(data):
        yield "### Activation memory against depth"
        yield from _figure(figures.get("activations-by-depth"), folder)
        yield f"Activations held for backward, MiB, with a stack of T blocks:\n\n{by_depth}"
        without = [method for method in data.drawn if not depth_profile(data.finished[method])]
        yield "The last column is the growth from each method's least T to its largest." + (
            f" Without such a probe: {codes(without)}." if without else ""
        )
    yield from diagnostics.sections(data, {name: list(_figure(each, folder)) for name, each in figures.items()})


def _ratios(data: DatasetView) -> Iterator[str]:
    table = tables.ratios(data)
    if table is None:
        if data.reference is None:
            yield f"{code(REFERENCE)} has no finished cell on {data.name}, so there is nothing to compare with."
        else:
            yield f"{code(data.reference)} is the only method with finished cells, so there is nothing to compare."
        return
    assert data.reference is not None
    yield table
    yield (
        f"How to read it: a method and {code(data.reference)} are compared *on the same seed*, and the comparisons are "
        "then averaged over the seeds that both finished (*seeds*). A ratio of 1 means the same as "
        f"{code(data.reference)}, 0.5 half of it, 2 twice as much; it is the geometric mean, with its interval in "
        "brackets. Accuracy is a difference in percentage points: "
        f"above 0 is more accurate than {code(data.reference)}.{_example(data, data.reference)} The intervals are for "
        "these means; whether a difference is more than chance is the verdict's question, below."
    )


def _example(data: DatasetView, reference: str) -> str:
    """The first row in words."""
    method = data.rivals[0]
    ours, theirs = data.finished[method], data.finished[reference]

    def ratio(measure: Measure) -> str | None:
        mean = ratio_estimate(paired_ratios(measure.values(ours), measure.values(theirs)))
        if mean is None:
            return None
        return number(mean.mean) + tables.noise_mark(data, measure, mean)

    parts = []
    accuracy = TEST_ACCURACY
    gap = estimate(paired_differences(accuracy.values(ours), accuracy.values(theirs)))
    if gap is not None:
        way = "above" if gap.mean >= 0 else "below"
        parts.append(f"ended {number(abs(gap.mean), decimals=2)} points {way} {code(reference)}")
    if time := ratio(TRAIN_SECONDS):
        parts.append(f"trained for {time} times as long")
    if held := ratio(ACTIVATIONS):
        parts.append(f"held {held} times the activation bytes")
    if not parts:
        return ""
    return f" The first row says that {code(method)} {listed(parts)}."


def _figure(figure: FigureFile | None, folder: str) -> Iterator[str]:
    if figure is not None:
        alt = " ".join(figure.alt.split()).replace("[", "\\[").replace("]", "\\]")
        yield f"![{alt}]({quote(f'{folder}/{figure.file}')})"
        yield f"*{figure.caption}*"


def _limits(view: RunView, unmatched: Sequence[Mismatch]) -> Iterator[str]:
    yield "## What this does not show"
    yield "\n".join(f"- {sentence}" for sentence in caveats(view, unmatched))
