"""The command line of a regression check: `python -m bench.compare RUN_A RUN_B` holds a new run against an old one.

Exit codes: 0 no regression; 1 a figure is worse by more than its limit and by more than chance, or something that RUN_A
has is missing or failed in RUN_B; 2 something given cannot be used, or (with nothing of the above) a method has another
configuration or other data in RUN_B, so that nothing can be said of it. What counts as a regression, and why, is in
`reports/comparison/regression.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commandline.params import Folder, PositiveFloat
from bench.errors import UserError
from bench.run import DEFAULT_OUT

if TYPE_CHECKING:
    from reports.view import RunView

_LIMIT = PositiveFloat(zero=True)


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.argument("run_a")
@click.argument("run_b")
@click.option("--max-accuracy-drop", type=_LIMIT, default=1.0, metavar="POINTS", help="Of test accuracy.")
@click.option("--max-slowdown", type=_LIMIT, default=10.0, metavar="PERCENT", help="Of training time.")
@click.option(
    "--max-memory",
    type=_LIMIT,
    default=5.0,
    metavar="PERCENT",
    help="Growth of activation bytes, of the rise of resident memory, and of peak GPU memory.",
)
@click.option(
    "--out", type=Folder(path_type=Path), default=DEFAULT_OUT, help="Folder in which runs are looked up by name."
)
def cli(run_a: str, run_b: str, max_accuracy_drop: float, max_slowdown: float, max_memory: float, out: Path) -> int:
    """Check whether RUN_B, the new run, is worse than RUN_A, the old one. Both are folders, or names of runs.

    Every method on every data set is compared over the seeds that both runs have. A figure is a REGRESSION if its mean
    is worse by more than the limit and that is more than chance: the quantity is counted exactly, there is one seed
    only, p is at most 0.05 after the correction for all figures, or every seed is far worse. Past its limit but
    maybe by chance, it is unclear. Exit codes: 0 no regression; 1 a regression, or something of RUN_A that is missing
    or failed in RUN_B; 2 something given cannot be used, or not compared.
    """
    from bench.runner.sweep import find_run
    from reports.comparison.pairing import pair_runs
    from reports.comparison.regression import Limits, Status, check
    from reports.comparison.regression_text import failures, passed, refusals, remarks, tables
    from reports.comparison.speed_up import speed_up

    folders = find_run(run_a, out), find_run(run_b, out)
    old, new = map(_read, folders)
    if old.record.run_id == new.record.run_id:
        raise UserError(f"{run_a} and {run_b} are the same run, {old.record.run_id}: give two runs, the older first")
    limits = Limits(max_accuracy_drop, max_slowdown, max_memory)
    pairing = pair_runs(old, new)
    figures = check(pairing.pairs, limits, new.record.calibration)
    failed, refused = failures(pairing, figures), refusals(pairing)
    if not failed and all(figure.status is Status.NOT_JUDGED for figure in figures):
        raise UserError(_nothing(run_a, run_b, refused))

    for letter, folder, view in zip("AB", folders, (old, new), strict=True):
        print(f"{letter}: {folder}, made {view.record.created_at}")
    if figures:
        print(f"\n{tables(figures)}")
    if gained := speed_up(pairing.pairs):
        print(f"\nranks\n{gained}")
    print("\n".join(["", *remarks(pairing, figures)]))
    if failed:
        print(f"FAILED: {'; '.join(failed)}.")
        return 1
    if refused:
        raise UserError(f"not everything can be compared: {_unlike(refused)}")
    print(passed(figures, limits))
    return 0


def _read(folder: Path) -> RunView:
    from reports.view import arrange
    from results.store import read_cells, read_run

    return arrange(read_run(folder), read_cells(folder))


def _nothing(run_a: str, run_b: str, refused: list[str]) -> str:
    """Why there is nothing to compare at all."""
    if refused:
        return f"{run_a} and {run_b} cannot be compared: {_unlike(refused)}"
    return (
        f"{run_a} and {run_b} cannot be compared: there is no figure that can be judged in both; give two runs of the "
        "same methods, data sets and seeds, with finished cells in the first"
    )


def _unlike(refused: list[str]) -> str:
    return f"configuration or data differ in {', '.join(refused)}; give two runs that are alike in these"


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.commandline.exit_codes import run_to_exit

    run_to_exit(cli, "python -m bench.compare")


if __name__ == "__main__":
    main()
