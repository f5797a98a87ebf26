"""The report of `bench.scale --accuracy`: what more blocks bring in accuracy, and what they cost."""

from __future__ import annotations

from pathlib import Path

from reports.figures.depth_accuracy import AccuracyByDepth
from reports.formats.effects import points
from reports.formats.markdown import (
    MISSING,
    Markdown,
    code,
    codes,
    exact,
    listed,
    markdown_table,
    number,
    plural,
    plus_minus,
)
from reports.formats.prose import prose
from reports.grid_view import GridView
from reports.statistics.accuracy import accuracy_effects, answers_of
from reports.statistics.effect import Effect, Verdict
from reports.statistics.measures import ACTIVATIONS, TEST_ACCURACY, TRAIN_FLOPS, TRAIN_SECONDS
from reports.statistics.noise import is_disturbed
from reports.sweeps.grid import build_grid_report, lost_words
from reports.view import REFERENCE
from results.schema import Margins

TEXT = """
# Accuracy against depth

{{ datasets }}

## How it was measured

{{ facts | bullets }}

{{ commands }}

Every method was trained with every number of blocks T, all else as in a run with these settings, and evaluated after
the last epoch. Accuracy and time are means over seeds{% if several %} ± half of a 95% interval{% endif %}. Differences
have 95% intervals, each by itself, that cover new seeds and new test images. Operations of a training step, and
activation memory, what is held for the backward pass at its peak, are counted exactly. Cells ran one after another.

{{ figure_files }}
"""
DATASET = """
## {{ name }}

{{ sentences | bullets }}

{{ figure }}

{{ table }}
"""
WORDS = {
    Verdict.BETTER: "more accurate",
    Verdict.WORSE: "less accurate",
    Verdict.EQUIVALENT: "as accurate",
    Verdict.UNDECIDED: "undecided",
}


def build_depth_report(folder: Path, *, html: bool = False) -> Path:
    """Write the report of the cells in a folder, with its figures; the report's path.

    Raises:
        ResultsError: there are none, or the folder cannot be written to.
    """
    return build_grid_report(folder, TEXT, AccuracyByDepth(), _section, html=html)


def _section(view: GridView, picture: Markdown) -> Markdown:
    sentences = _sentences(view) + lost_words(view) + _disturbed_words(view)
    return prose(DATASET, name=view.dataset, sentences=sentences, figure=picture, table=_table(view))


def _disturbed_words(view: GridView) -> list[str]:
    cells = [cell for by_depth in view.cells.values() for each in by_depth.values() for cell in each]
    count = sum(map(is_disturbed, cells))
    return [f"Not in the times: {plural(count, 'cell')}, which other programs disturbed."] if count else []


def _sentences(view: GridView) -> list[str]:
    """The shallowest against the deepest, for each method."""
    low, high = f"T = {view.values[0]:g}", f"T = {view.values[-1]:g}"
    effects = {}
    for method, by_depth in view.cells.items():
        ends = {low: answers_of(by_depth.get(view.values[0], [])), high: answers_of(by_depth.get(view.values[-1], []))}
        if low != high and (found := accuracy_effects(ends, low).get(high)):
            effects[method] = found
    verdicts: dict[Verdict, list[str]] = {}
    for method, effect in effects.items():
        verdicts.setdefault(effect.verdict(Margins().accuracy_points, higher_is_better=True), []).append(method)
    if not verdicts:
        return []
    heads = [f"{WORDS[verdict]}: {codes(verdicts[verdict])}" for verdict in Verdict if verdict in verdicts]
    return [f"**With {high} against {low}**, {'; '.join(heads)}.", f"In points: {listed(_in_points(effects))}."]


def _in_points(effects: dict[str, Effect]) -> list[str]:
    return [f"{code(method)} {points(effect)}" for method, effect in effects.items()]


def _table(view: GridView) -> Markdown:
    """A row for each method and depth, with the difference from backprop at the same depth."""
    gaps = {depth: _gaps(view, depth) for depth in view.values}
    rows = [
        [
            code(method),
            f"{depth:g}",
            str(len(cells)),
            plus_minus(TEST_ACCURACY.mean(cells), decimals=2),
            points(gaps[depth][method]) if method in gaps[depth] else MISSING,
            plus_minus(TRAIN_SECONDS.mean([cell for cell in cells if not is_disturbed(cell)])),
            exact(TRAIN_FLOPS.values(cells).values()),
            exact(ACTIVATIONS.values(cells).values()),
            number(cells[0].parameters / 1e6) if cells and cells[0].parameters else MISSING,
        ]
        for method, by_depth in view.cells.items()
        for depth, cells in by_depth.items()
    ]
    headers = ["method", "T", "seeds", TEST_ACCURACY.header, f"against `{REFERENCE}`, points", TRAIN_SECONDS.header]
    headers.append(TRAIN_FLOPS.header)
    return markdown_table([*headers, ACTIVATIONS.header, "parameters, millions"], rows)


def _gaps(view: GridView, depth: float) -> dict[str, Effect]:
    answers = {method: answers_of(by_depth.get(depth, [])) for method, by_depth in view.cells.items()}
    return accuracy_effects(answers, REFERENCE) if REFERENCE in answers else {}
