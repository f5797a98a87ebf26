"""The report of `bench.tune --sweep lr`: is the default learning rate near the best of every method?"""

from __future__ import annotations

import statistics
from pathlib import Path

from reports.figures.lr_sweep import AccuracyByRate
from reports.formats.markdown import MISSING, Markdown, code, codes, listed, markdown_table, number, plural, plus_minus
from reports.formats.prose import prose
from reports.grid_view import GridView
from reports.statistics.best_rate import BestRate, best_rate
from reports.statistics.measures import VAL_ACCURACY
from reports.sweeps.grid import build_grid_report, lost_words
from results.schema import Margins

TEXT = """
# Validation accuracy against learning rate

The same learning rate for all methods is fair only if it is near the best of each.

{{ datasets }}

## How it was measured

{{ facts | bullets }}

{{ commands }}

Every method was trained at every rate, all else as in a run with these settings, and evaluated after the last epoch on
validation images; test images were not used. *Best* is the rate with the highest mean over seeds, the default in a tie.
*Gain* is the best minus the default, paired by seed{% if several %}, ± half of a 95% interval{% endif %}. It is chosen
as the largest, so it is never negative, and part of a small one is chance. A comparison with `backprop` at the default
rate is unfair to a method by what its gain is larger than that of `backprop`.

{{ figure_files }}
"""
DATASET = """
## {{ name }}

{{ sentences | bullets }}

{{ figure }}

{{ table }}

Means of validation accuracy in percent{% if images %} ({{ images | plural("image") }}, so one is
{{ (100 / images) | number(2) }} points){% endif %}, by learning rate; the best in bold. {{ missing }}: no cell has
finished.
"""


def build_lr_report(folder: Path) -> Path:
    """Write the report of the sweep in a folder, with its figures; the report's path.

    Raises:
        ResultsError: there is no sweep there, or the folder cannot be written to.
    """
    return build_grid_report(folder, TEXT, AccuracyByRate(), _section)


def _section(view: GridView, picture: Markdown) -> Markdown:
    found = {method: best_rate(cells, view.default) for method, cells in view.cells.items()}
    known = {method: best for method, best in found.items() if best is not None}
    records = [row.data for by_rate in view.cells.values() for rows in by_rate.values() for row in rows if row.data]
    return prose(
        DATASET,
        name=view.dataset,
        sentences=_sentences(view, known) + lost_words(view),
        figure=picture,
        table=_table(view, known),
        images=records[0].n_val if records else None,
        missing=MISSING,
    )


def _sentences(view: GridView, known: dict[str, BestRate]) -> list[str]:
    margin = Margins().accuracy_points
    gains = {method: best.gain.mean for method, best in known.items() if best.gain is not None}
    far = sorted((method for method, gain in gains.items() if gain > margin), key=lambda method: -gains[method])
    sentences = [
        f"**The default rate, {view.default:g}, is within {number(margin, 1)} points of the best for "
        f"{len(gains) - len(far)} of {plural(len(view.cells), 'method')}.**"
    ]
    if far:
        named = [f"{code(m)} (best {known[m].rate:g}, +{number(gains[m], decimals=1)})" for m in far]
        sentences.append(f"Further from their best: {listed(named)}.")
    if at_end := [method for method, best in known.items() if best.is_end and gains.get(method, 1.0) > 0]:
        sentences.append(f"Best at the end of the grid, so that a rate beyond may be better still: {codes(at_end)}.")
    return sentences


def _table(view: GridView, known: dict[str, BestRate]) -> Markdown:
    """A row for each method, the largest gain first."""

    def gain(method: str) -> float:
        best = known.get(method)
        return best.gain.mean if best and best.gain else -1.0

    rows = []
    for method in sorted(view.cells, key=gain, reverse=True):
        best, row = known.get(method), [code(method)]
        for rate in view.values:
            values = VAL_ACCURACY.values(view.cells[method].get(rate, [])).values()
            text = number(statistics.fmean(values), decimals=1) if values else MISSING
            row.append(f"**{text}**" if best and best.rate == rate else text)
        gained = None if best is None else best.gain
        row.append(f"{best.rate:g}" if best else MISSING)
        row.append("0" if best and best.rate == view.default else plus_minus(gained, decimals=1, signed=True))
        rows.append(row)
    heads = [f"{rate:g} (default)" if rate == view.default else f"{rate:g}" for rate in view.values]
    return markdown_table(["method", *heads, "best", "gain, points"], rows)
