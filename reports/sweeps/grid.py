"""What the reports of grids of cells (`reports.sweeps.lr_sweep`, `reports.sweeps.depth_accuracy`) have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.figures.figure import Figure, write_all
from reports.figures.style import method_styles
from reports.formats.html import write_report
from reports.formats.markdown import (
    FIGURE_FILES,
    Markdown,
    code,
    codes,
    commands,
    figure,
    first_free,
    listed,
    number,
    plural,
    ranges,
)
from reports.formats.prose import prose
from reports.grid_view import GridView, grid_views
from reports.view import REFERENCE, moment
from results.files import file_stem
from results.grid import Grid, read_grid


def build_grid_report(
    folder: Path,
    template: str,
    drawn: Figure[GridView],
    section: Callable[[GridView, Markdown], Markdown],
    *,
    html: bool = False,
) -> Path:
    """Write the report of the grid in a folder, with a figure for each data set; the report's path.

    Args:
        folder: Of the grid.
        template: The page; it is given `datasets`, `facts`, `commands`, `several` (seeds) and `figure_files`.
        drawn: The figure.
        section: Makes the text on a data set from its cells and the figure's Markdown.
        html: Whether to write the page as HTML, too.

    Raises:
        ResultsError: there is no grid, or the folder cannot be written to.
    """
    grid = read_grid(folder)
    views = grid_views(grid)
    styles = method_styles(views[0].families, REFERENCE)
    taken: list[str] = []
    sections = []
    for view in views:
        taken.append(first_free(file_stem(view.dataset), taken))
        files = write_all([drawn], view, folder, styles, f"{taken[-1]}-")
        sections.append(section(view, "\n\n".join(figure(each.alt, each.file, each.caption) for each in files)))
    text = prose(
        template,
        datasets="\n\n".join(sections),
        facts=_facts(grid),
        commands=commands(grid.record.commands),
        several=len({point.cell.seed for point in grid.record.points}) > 1,
        figure_files=FIGURE_FILES,
    )
    return write_report(folder, text, html=html)


def lost_words(view: GridView) -> list[str]:
    """A sentence on the cells without a result; none if there are none."""
    where = list(dict.fromkeys(f"{code(method)} at {value:g} ({why})" for method, value, why in view.lost))
    return [f"**Without a result**: {listed(where)}."] if where else []


def _facts(grid: Grid) -> list[str]:
    points = grid.record.points
    rows = [row for row in grid.rows.values() if row.status == "ok"]
    commits = sorted({(row.environment.commit or "unknown")[:18] for row in rows})
    seconds = sum(row.train_seconds or 0.0 for row in rows)
    epochs = sorted({point.cell.config.epochs for point in points})
    machines = sorted({f"{row.environment.processor}, {plural(row.config.threads, 'thread')}" for row in rows})
    return [
        f"Created: {moment(grid.record.created_at)}",
        f"Code: commit {codes(commits)}",
        f"Cells: {len(rows):,} of {len(points):,} finished, {number(seconds / 60)} minutes of training",
        f"Seeds: {ranges(sorted({point.cell.seed for point in points}))}",
        f"Epochs: {listed([f'{each:,}' for each in epochs])}",
        f"Machine: {'; '.join(machines)}",
    ]
