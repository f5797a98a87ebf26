"""`python -m bench.calibrate`: run one method against itself (A/A), and keep how far apart the same work lies here.

Later runs on the same machine take the latest calibration with them, and their reports print differences that are
smaller as 'within noise'.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from bench.commandline import flags
from bench.commandline.params import Folder, Whole
from bench.run import DEFAULT_OUT

AGAIN = "again"
"""What the second name has in it; the two are otherwise the same."""


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--method", default="backprop", help="One method; options in brackets: noprop[T=20].")
@click.option("--dataset", default="digits", help="One data set.")
@click.option("--pairs", type=Whole(2, 1000), default=10, help="Pairs of cells, each pair with a seed of its own.")
@flags.preset
@flags.epochs
@flags.train_size
@flags.device
@click.option("--threads", type=Whole(1, 1024), help="CPU threads of a cell.  [default: all cores]")
@flags.data_dir
@click.option("--out", type=Folder(path_type=Path), default=DEFAULT_OUT, help="Folder in which the run gets its own.")
def cli(
    method: str,
    dataset: str,
    pairs: int,
    preset: str,
    epochs: int | None,
    train_size: int | None,
    device: str,
    threads: int | None,
    data_dir: Path | None,
    out: Path,
) -> int:
    """Run a method against itself and report the spread of times and memory that this machine gives.

    The two cells of a pair do the same work, one right after the other, in turns first. A calibration that was
    stopped goes on with python -m bench.run --resume.
    """
    from bench import datasets
    from bench.meters.environment import available_cores
    from bench.planning.plan import Request, plan_one_method
    from bench.runner.conduct import conduct
    from bench.runner.lock import run_lock
    from bench.runner.sweep import start_run

    data_dir = datasets.data_root(data_dir)
    request = Request(
        methods=method,
        datasets=(dataset,),
        preset=preset,
        seeds=tuple(range(pairs)),
        epochs=epochs,
        train_size=train_size,
        device=device,
        threads=threads or available_cores(),
        data_dir=data_dir,
    )
    cells = []
    for cell in plan_one_method(request, "a calibration runs one against itself"):
        pair = [cell, cell.model_copy(update={"method": f"{cell.method} ({AGAIN})"})]
        cells += pair if cell.seed % 2 == 0 else pair[::-1]
    command = shlex.join(["python", "-m", "bench.calibrate", *sys.argv[1:]])
    run = start_run(out, cells, command, purpose="calibration")
    with run_lock(run):
        return conduct(run, cells, data_dir)


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.commandline.exit_codes import run_cells_to_exit

    run_cells_to_exit(cli, "python -m bench.calibrate")


if __name__ == "__main__":
    main()
