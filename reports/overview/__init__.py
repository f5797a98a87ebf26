"""One page over many runs: `python -m reports.overview [RUN...] [--out DIR]`.

Writes `overview.md`, `overview.html` and `figures/overview.png` (.svg, .csv).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

REFERENCE_RUNS = Path("results/reference")


@click.command(context_settings={"max_content_width": 100})
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page.  [default: the folder of the runs]")
def main(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write one page over many RUNS, folders of runs (default: all in results/reference)."""
    from reports.overview.page import build_overview  # here: pandas and matplotlib take seconds to import
    from results.store import ResultsError

    try:
        folders = list(runs) or sorted(REFERENCE_RUNS.glob("*"))
        if not folders:
            raise ResultsError(f"there is no run in {REFERENCE_RUNS}: name folders of runs, such as results/runs/*")
        shared = os.path.commonpath([folder.absolute().parent for folder in folders])
        page = build_overview(folders, out or Path(os.path.relpath(shared)))
    except ResultsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    click.echo(page)
