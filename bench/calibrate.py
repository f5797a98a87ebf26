"""`python -m bench.calibrate`: run one method against itself (A/A test) to measure this machine's noise.

Later runs on the same machine take the latest calibration along, and their reports mark smaller differences as
"within noise".
"""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import what
from bench.commandline.help import Command
from bench.commandline.params import Whole
from bench.run import DEFAULT_OUT

AGAIN = "again"
"""Marks the second cell of a pair, which is otherwise the same."""


@click.command(cls=Command)
@flags.one_method("backprop")
@flags.one_dataset
@what("--pairs", type=Whole(2, 1000), default=10, help="Pairs of cells, each pair with its own seed.")
@flags.preset()
@flags.epochs
@flags.train_size
@flags.duplicates
@flags.data_dir
@flags.device
@flags.threads
@flags.out(DEFAULT_OUT, "Parent folder for runs.")
def cli(method: str, dataset: str, pairs: int, data_dir: Path | None, out: Path, **given: Any) -> int:
    """Run a method against itself and report how much time and memory vary on this machine.

    The two cells of a pair do the same work one after the other; which goes first alternates. Continue a stopped
    calibration with python -m bench.run --resume.
    """
    from bench import datasets
    from bench.meters.environment import available_cores
    from bench.planning.plan import plan_one_method
    from bench.runner.execute import execute
    from bench.runner.folders import new_run
    from bench.runner.prepare import Run

    data_dir = datasets.data_root(data_dir)
    given["threads"] = given["threads"] or available_cores()
    given |= {"datasets": (dataset,), "seeds": range(pairs), "data_dir": data_dir}
    cells = []
    for cell in plan_one_method(method, "a calibration runs one against itself", **given):
        pair = [cell, cell.model_copy(update={"method": f"{cell.method} ({AGAIN})"})]
        cells += pair if cell.seed % 2 == 0 else pair[::-1]
    command = shlex.join(["python", "-m", "bench.calibrate", *sys.argv[1:]])
    record = new_run(out, cells, command, purpose="calibration")
    return execute(Run(folder=out / record.run_id, record=record, cells=cells, is_new=True, data_dir=data_dir))


main = exits(cli, "python -m bench.calibrate", runs_cells=True)

if __name__ == "__main__":
    main()
