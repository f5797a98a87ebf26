"""One page over many runs: `python -m reports.overview [RUN...] [--out DIR]`.

Writes `overview.md`, `overview.html` and `figures/overview.png` (.svg, .csv).
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from results.ending import EndingCommand, Folder

REFERENCE_RUNS = Path("results/reference")


@click.command(cls=EndingCommand, context_settings={"max_content_width": 100})
@click.argument("runs", nargs=-1, type=Folder())
@click.option("--out", type=Folder(), help="Folder for the page.  [default: the folder of the runs]")
def main(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write one page over many RUNS, folders of runs (default: all in results/reference)."""
    from reports.overview.page import build_overview  # here: pandas and matplotlib take seconds to import
    from results.store import ResultsError

    folders = list(runs) or sorted(REFERENCE_RUNS.glob("*"))
    if not folders:
        raise ResultsError(f"there is no run in {REFERENCE_RUNS}: name folders of runs, such as results/runs/*")
    shared = os.path.commonpath([folder.absolute().parent for folder in folders])
    click.echo(build_overview(folders, out or Path(os.path.relpath(shared))))
