"""The report's two pages: their sections, in the order in which a reader who opens it cold would ask.

To add a section, add a file to `sections/` and its name to one of the tuples.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module, resources
from typing import Any

from reports.formats.markdown import FIGURE_FILES, MISSING, Markdown, code, codes, commands, listed, ranges
from reports.formats.prose import prose
from reports.statistics.estimates import BOOTSTRAP_FROM
from reports.view import RunView, moment
from results.schema import CellResult

ANSWERS = ("answer", "legend")
"""The first page, `report.md`, on a data set. Each file has `section(run: RunView, data: DatasetView) -> Markdown |
None`."""
CAVEATS = ("caveats",)
"""The first page, after all data sets. Each file has `section(run: RunView) -> Markdown | None`."""
MEASUREMENTS = ("accuracy", "classes", "memory", "work", "spread", "gradients", "energy", "ranks", "calibration")
"""What was measured on a data set, in `details.md`. Files like those of `ANSWERS`."""
COMPARISONS = ("ratios", "paper", "rules", "pareto", "targets", "curves", "depth", "diagnostics")
"""How the methods compare on a data set; likewise. Left out where a calibration compares a method with itself."""
CONDITIONS = (
    *("microbench", "plain_trainer", "machine", "failures", "configuration", "hyperparameters", "unmatched"),
    *("data", "environment", "limitations"),
)
"""What concerns the whole run, in `details.md` after all data sets. Files like those of `CAVEATS`."""


def report_page(run: RunView) -> Markdown:
    """`report.md`: the answer. That of a calibration, which has none, is its details."""
    if run.record.purpose == "calibration":
        return details_page(run)
    return _page("report.md.jinja", run, ANSWERS, CAVEATS)


def details_page(run: RunView) -> Markdown:
    """`details.md`: all that was measured, and how."""
    is_calibration = run.record.purpose == "calibration"
    return _page("details.md.jinja", run, MEASUREMENTS if is_calibration else MEASUREMENTS + COMPARISONS, CONDITIONS)


def _page(frame: str, run: RunView, of_dataset: Iterable[str], of_run: Iterable[str]) -> Markdown:
    """The sections in their frame, a file of `web/`."""
    record = run.record
    seeds = sorted({cell.seed for cell in record.cells})
    commits = sorted({cell.environment.commit or cell.environment.package or "unknown" for cell in run.cells})
    packages = _packages(run.cells)
    text = prose(
        (resources.files("reports") / "web" / frame).read_text(encoding="utf-8"),
        run=run,
        kind="calibration" if record.purpose == "calibration" else "report",
        datasets=[each.name for each in run.datasets],
        methods=run.methods,
        epochs=sorted({cell.config.epochs for cell in record.cells}),
        seeds=len(seeds),
        seed_ranges=ranges(seeds),
        finished=f"{len(record.cells) - len(run.missing):,}",
        planned=len(record.cells),
        facts=[
            f"Run: {code(record.run_id)}",
            f"Created: {moment(record.created_at)}",
            f"Code: commit {codes(commits)}",
            *(f"Code of {code(method)}: package {listed(found)}" for method, found in packages.items()),
            f"To reproduce it{', with that package installed' if packages else ''}:",
        ],
        command=commands([record.command]),
        bootstrap_from=BOOTSTRAP_FROM,
        missing=MISSING,
        figure_files=FIGURE_FILES,
        dataset_sections=_sections(of_dataset),
        run_sections=_sections(of_run),
    )
    return f"{text}\n"


def _packages(cells: Iterable[CellResult]) -> dict[str, list[str]]:
    """The packages of methods that are not of this project, by registered name; several if one changed meanwhile."""
    found: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.method_package is not None:
            found.setdefault(cell.method_name, {})[cell.method_package] = None
    return {method: list(packages) for method, packages in found.items()}


def _sections(names: Iterable[str]) -> list[Any]:
    return [import_module(f"reports.sections.{name}").section for name in names]
