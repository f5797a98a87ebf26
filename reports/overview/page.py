"""The page: its sections in order, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.figures.style import method_styles
from reports.formats.html import html_page
from reports.formats.markdown import FIGURE_FILES, FIGURES_FOLDER, Markdown, figure, listed, plural
from reports.formats.prose import prose
from reports.overview.answer import headline, sentences
from reports.overview.beside_paper import beside_paper
from reports.overview.cores import more_cores
from reports.overview.figure import CostOfAccuracy
from reports.overview.overview import MIN_STEPS, Overview
from reports.overview.referee import answers
from reports.overview.sources import read_sources
from reports.overview.table import alone_table, runs_table, table
from reports.view import FALLBACK, REFERENCE
from results.files import write_folder
from results.store import ResultsError

PAGE_FILE, HTML_FILE = "overview.md", "overview.html"
TEXT = """
# Is training without backpropagation worth it?

{{ headline }}

{{ runs | plural("run") }}, {{ cells }} finished cells, {{ comparisons | plural("comparison") }} (a data set at a
budget). All of this page is computed from their rows.

## The answer

{{ sentences }}

In 1 to 4, a difference in accuracy is judged by its own 95% interval. In 8, 9 and the table below, verdicts hold for
all methods of a column together, so one may be undecided although its own interval rules out 0. One seed says nothing
of others: of such rows it is told who is ahead, with an interval over test images alone, and no verdict; without that
interval it is undecided. NoProp is the chain of blocks: with inference by the mean where that was run, otherwise by
sampling. Of a data set that was trained at several budgets, the numbers are those of the one with most seeds (one and
two count alike), and of the longest if that has three seeds or as many, and where these have no `backprop`, of the best
that has it; of rows with an option's former and present default (`features`), the present comes first.

## Accuracy and cost

{{ table }}

{{ figure }}

{{ figure_files }}

{% if cores %}### More cores

{{ cores }}{% endif %}

{% if alone %}### Without a reference

At these budgets neither `{{ reference }}` nor `{{ fallback }}` was trained on the same data.

{{ alone }}{% endif %}

## Beside the paper

{{ beside_paper }}

## What a referee and an engineer would ask

{{ answers }}

## The runs

{{ table_of_runs }}

Cells of the same data set, split, training images, epochs, batch size, learning rate, weight decay, schedule,
augmentation, clipping, averaging of weights and precision are compared with one another, whichever run they come from;
where a search found a method's learning rate and weight decay, cells of searches with the same budget. An older row
whose options differ from those that the name has now carries them in its name.

{{ notes | bullets }}

{{ command }}
"""


def overview_page(overview: Overview, picture: Markdown = "") -> Markdown:
    """The page in Markdown; links start at `overview.base`."""
    numbered = [f"{place}. {sentence}" for place, sentence in enumerate(sentences(overview), 1)]
    text = prose(
        TEXT,
        headline=headline(overview),
        runs=len(overview.sources),
        cells=f"{sum(len(source.cells) for source in overview.sources):,}",
        comparisons=len(overview.comparisons),
        sentences="\n".join(numbered),
        table=table(overview) if overview.comparisons else "No two methods were trained under the same conditions.",
        figure=picture,
        figure_files=FIGURE_FILES if picture else "",
        cores=more_cores(overview),
        alone=alone_table(overview),
        reference=REFERENCE,
        fallback=FALLBACK,
        beside_paper=beside_paper(overview),
        answers="\n".join(f"{place}. {answer}" for place, answer in enumerate(answers(overview), 1)),
        table_of_runs=runs_table(overview),
        notes=_notes(overview),
        command="```sh\nmake overview    # python -m reports.overview results/reference/*\n```",
    )
    return f"{text}\n"


def _notes(overview: Overview) -> list[str]:
    notes = []
    if skipped := overview.skipped:
        named = "; ".join(f"`{each.name}` ({each.why})" for each in skipped)
        notes.append(f"Passed over, since they are no runs to compare: {len(skipped)} ({named}).")
    replaced = {each.name: each.replaced for each in overview.pools if each.replaced and each not in overview.hurried}
    if replaced:
        parts = [f"{plural(count, 'cell')} of {label}" for label, count in replaced.items()]
        notes.append(f"Trained again by a newer run with the same method and seed, which counts: {listed(parts)}.")
    if failed := sum(source.failed for source in overview.sources):
        notes.append(f"Failed and left out: {plural(failed, 'cell')}.")
    if overview.hurried:
        short = listed([each.name for each in overview.hurried])
        notes.append(f"No accuracy is read from fewer than {MIN_STEPS} steps of training: {short}.")
    fallback = [each.name for each in overview.comparisons if each.name_of(str(each.data.reference)) != REFERENCE]
    if fallback:
        notes.append(f"Compared with `{FALLBACK}`, since `{REFERENCE}` is missing: {listed(fallback)}.")
    return notes


def build_overview(folders: Sequence[Path], out: Path, base: Path | None = None) -> Path:
    """Write the page, its HTML and its figure; nothing is written until all are made.

    Args:
        folders: of the runs.
        out: folder for the files, created if needed.
        base: the folder that links start from; by default `out`.

    Returns:
        The path of the Markdown page.

    Raises:
        ResultsError: a folder cannot be used, or `out` cannot be written to.
    """
    sources, skipped = read_sources(folders)
    overview = Overview(sources, skipped, base or out)
    try:
        write_folder(out, PAGE_FILE, lambda folder: _render(overview, folder))
    except OSError as error:
        raise ResultsError(f"cannot write the page to {out}: {error.strerror or error}") from None
    return out / PAGE_FILE


def _render(overview: Overview, folder: Path) -> None:
    (folder / FIGURES_FOLDER).mkdir()
    families = {method: family for each in overview.comparisons for method, family in each.data.families.items()}
    drawn = CostOfAccuracy().write(overview, folder / FIGURES_FOLDER, method_styles(families, REFERENCE))
    picture = figure(drawn.alt, drawn.file, drawn.caption) if drawn else ""
    page = folder / PAGE_FILE
    page.write_text(overview_page(overview, picture), encoding="utf-8")
    (folder / HTML_FILE).write_text(html_page(page), encoding="utf-8")
