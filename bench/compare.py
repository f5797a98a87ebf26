"""`python -m bench.compare RUN_A RUN_B`: check a new run for regressions against an old one.

What counts as a regression, and why, is in `reports/comparison/regression.py`.

Exit codes: 0 no regression; 1 a measure regressed, or something in RUN_A is missing or failed in RUN_B; 2 something
given cannot be used, or (with none of the above) a method's configuration or data differ, so it was not compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commandline.exit_codes import exits
from bench.commandline.help import Command, group
from bench.commandline.params import FiniteFloat
from bench.errors import UserError
from bench.run import DEFAULT_OUT
from results.ending import Folder

if TYPE_CHECKING:
    from reports.view import RunView

_COMPARABLE = "of the same methods, data sets and seeds, with finished cells in the first"
_LIMIT = FiniteFloat(0)
limit = group("Limits")


@click.command(cls=Command)
@click.argument("run_a")
@click.argument("run_b")
@limit("--max-accuracy-drop", type=_LIMIT, default=1.0, metavar="POINTS", help="Drop of test accuracy.")
@limit("--max-slowdown", type=_LIMIT, default=10.0, metavar="PERCENT", help="Increase of training time.")
@limit(
    "--max-memory", type=_LIMIT, default=5.0, metavar="PERCENT", help="Increase of activation, resident and GPU memory."
)
@group("Where runs are")("--out", type=Folder(), default=DEFAULT_OUT, help="Parent folder of runs given by name.")
def cli(run_a: str, run_b: str, max_accuracy_drop: float, max_slowdown: float, max_memory: float, out: Path) -> int:
    """Check whether the new run RUN_B is worse than the old run RUN_A, each a folder or a name.

    Compares the mean of every measure over the seeds that both runs have, per method and data set. A measure is a
    REGRESSION if it is worse by more than its limit and not by chance: it is an exact count, there is only one seed,
    its 95% bound is worse than no change, or every seed is far worse. If chance could explain it, it is unclear.

    Exit codes: 0 no regression; 1 a regression, or something in RUN_A is missing or failed in RUN_B; 2 something given
    cannot be used or compared.
    """
    from bench.runner.folders import find_run
    from reports.comparison.pairing import pair_runs
    from reports.comparison.regression import Limits, Status, check
    from reports.comparison.text import failures, passed, refusals, remarks, speed_up, tables

    folders = find_run(run_a, out), find_run(run_b, out)
    old, new = map(_read, folders)
    if old.record.run_id == new.record.run_id:
        raise UserError(f"{run_a} and {run_b} are the same run, {old.record.run_id}: give two runs, the older first")
    limits = Limits(max_accuracy_drop, max_slowdown, max_memory)
    pairing = pair_runs(old, new)
    checks = check(pairing.pairs, limits, new.record.calibration)
    failed, refused = failures(pairing, checks), refusals(pairing)
    unlike = f"configuration or data differ in {', '.join(refused)}; give two runs that are alike in these"
    if not failed and all(each.status is Status.NOT_JUDGED for each in checks):
        why = unlike if refused else "there is no measure that can be judged in both; give two runs " + _COMPARABLE
        raise UserError(f"{run_a} and {run_b} cannot be compared: {why}")
    for letter, folder, view in zip("AB", folders, (old, new), strict=True):
        print(f"{letter}: {folder}, made {view.record.created_at}")
    if checks:
        print(f"\n{tables(checks)}")
    if gained := speed_up(pairing.pairs):
        print(f"\nranks\n{gained}")
    print("\n".join(["", *remarks(pairing, checks)]))
    if failed:
        print(f"FAILED: {'; '.join(failed)}.")
        return 1
    if refused:
        raise UserError(f"not everything can be compared: {unlike}")
    print(passed(checks, limits))
    return 0


def _read(folder: Path) -> RunView:
    from reports.view import arrange
    from results.store import read_cells, read_run

    record = read_run(folder)
    return arrange(record, read_cells(folder, record))


main = exits(cli, "python -m bench.compare")

if __name__ == "__main__":
    main()
