"""Build the report of a run: `python -m reports.build [RUN] [--out DIR] [--html] [--latex]`.

Reads RUN/run.json, RUN/cells.jsonl and, if they are there, RUN/race.json and RUN/microbench.json. Writes `report.md`,
`details.md` and, in `figures/`, each figure as PNG and SVG with its data as CSV; `report.html` and `tables.tex` on
request.
"""

from __future__ import annotations

import gc
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from reports.formats.choice import PLAIN, Forms, form_options
from reports.formats.markdown import FIGURES_FOLDER, figure, first_free
from reports.view import RunView, arrange, parse_utc
from results.ending import EndingCommand, Folder
from results.files import file_stem, write_folder
from results.microbenchmarks import MICROBENCH_FILE, read_microbenchmarks
from results.race import read_race
from results.store import RUN_FILE, ResultsError, read_cells, read_run

__all__ = ["build_report", "closing_text", "main", "newest_run", "view_and_report"]

RUNS = Path("results/runs")
REPORT_FILE, DETAILS_FILE = "report.md", "details.md"
HTML_FILE = "report.html"
LATEX_FILE = "tables.tex"


def build_report(run: Path, out: Path | None = None, forms: Forms = PLAIN) -> Path:
    """Write a run's report.

    Nothing is written until all pages and figures are made; files of an earlier report are then replaced. A form that
    an earlier report has is written again, asked for or not, so that no form is older than another.

    Args:
        run: folder with `run.json` and `cells.jsonl`, and perhaps `race.json` and `microbench.json`.
        out: folder for `report.md` and `figures/`, created if needed; by default the run's own.
        forms: what is written besides.

    Returns:
        The path of `report.md`.

    Raises:
        ResultsError: there is no such run, its files are damaged, none of its cells finished, or `out` is not writable.
    """
    return view_and_report(run, out, forms)[1]


def closing_text(view: RunView) -> str:
    """The report's answer for the terminal: for each data set its sentences and its table."""
    from reports.sections.answer import answer  # scipy takes a second to import, which `--help` need not wait for
    from reports.tables import answer_table

    parts = []
    for data in view.datasets:
        said = [re.sub(r"[`*]", "", sentence) for sentence in answer(view, data)] if data.drawn else []
        table = answer_table(data).plain() if data.drawn else "no cell finished"
        parts.append("\n".join([data.name, *(textwrap.fill(each, 100) for each in said), "", table]))
    return "\n\n".join(parts)


def newest_run(runs: Path = RUNS) -> Path:
    """The run created last, according to `run.json`; folders whose `run.json` cannot be read are skipped.

    Raises:
        ResultsError: there is none.
    """
    created = {}
    for path in sorted(runs.glob(f"*/{RUN_FILE}")):
        try:
            created[path.parent] = parse_utc(read_run(path.parent).created_at)
        except (ResultsError, ValueError):
            click.echo(f"note: {path} cannot be read, so its run is skipped", err=True)
    if not created:
        raise ResultsError(f"there is no run in {runs}: name the folder of a run, or make one with `make bench`")
    return max(created, key=lambda folder: created[folder])


@click.command(cls=EndingCommand, context_settings={"max_content_width": 100})
@click.argument("run", required=False, type=Folder())
@click.option("--out", type=Folder(), help="Folder for the report.  [default: the run's folder]")
@form_options
def main(run: Path | None, out: Path | None, html: bool, latex: bool) -> None:
    """Write the report of RUN, a run's folder (default: the newest in results/runs)."""
    view, report = view_and_report(run or newest_run(), out, Forms(html, latex))
    click.echo(closing_text(view))
    click.echo(f"\n{report}")


def view_and_report(run: Path, out: Path | None = None, forms: Forms = PLAIN) -> tuple[RunView, Path]:
    """As `build_report`: a run as it was read, and the path of its report.

    A run of thousands of cells is millions of objects, none of them garbage: looking through them again and again would
    take the collector longer than reading them took. So it is off, except for the figures (see `_render`).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        record = read_run(run)
        microbenchmarks = read_microbenchmarks(run / MICROBENCH_FILE)
        view = arrange(record, read_cells(run, record), microbenchmarks, read_race(run))
        if not view.cells:
            raise ResultsError(f"no cell of {run} has finished, so there is nothing to report yet")
        return view, _write(view, out or run, forms)
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def _write(view: RunView, out: Path, forms: Forms) -> Path:
    report = out / REPORT_FILE
    try:
        forms = Forms(forms.html or (out / HTML_FILE).exists(), forms.latex or (out / LATEX_FILE).exists())
        write_folder(out, REPORT_FILE, lambda folder: _render(view, folder, forms))
    except OSError as error:
        raise ResultsError(f"cannot write the report to {out}: {error.strerror or error}") from None
    return report


def _render(view: RunView, folder: Path, forms: Forms) -> None:
    # seaborn and matplotlib take seconds to import, which `--help` need not wait for
    from reports.figures import catalogue
    from reports.figures.style import method_styles
    from reports.formats.html import html_page
    from reports.page import details_page, report_page
    from reports.tables import latex_tables

    (folder / FIGURES_FOLDER).mkdir()
    families = {method: family for data in view.datasets for method, family in data.families.items()}
    styles = method_styles(families, view.datasets[0].reference)
    gc.freeze()  # whatever there is by now stays, and is passed over below
    names = _file_names(data.name for data in view.datasets)
    for data in view.datasets:
        if data.drawn:
            drawn = catalogue.draw(data, styles, folder / FIGURES_FOLDER, names[data.name])
            data.figures.update({name: figure(each.alt, each.file, each.caption) for name, each in drawn.items()})
            gc.collect()  # figures are cycles of megabytes
    report = folder / REPORT_FILE
    report.write_text(report_page(view), encoding="utf-8")
    details = folder / DETAILS_FILE
    if view.record.purpose != "calibration":  # its report has all of it
        details.write_text(details_page(view), encoding="utf-8")
    if forms.html:
        (folder / HTML_FILE).write_text(html_page(report, details), encoding="utf-8")
    if forms.latex:
        (folder / LATEX_FILE).write_text(latex_tables(view, names), encoding="utf-8")


def _file_names(names: Iterable[str]) -> dict[str, str]:
    """Names of data sets as plain file names, each of its own."""
    plain: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^a-z0-9]+", "-", file_stem(name).lower()).strip("-") or "data"
        plain[name] = first_free(stem, plain.values())
    return plain


if __name__ == "__main__":
    main()
