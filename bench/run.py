"""The command line: `python -m bench.run`. Reads what is wanted, hands it over, and says how it went.

Exit codes: 0 all cells ended well; 1 a cell failed (the others are kept), or a model could not be saved (its result is
kept); 2 something given cannot be used, and nothing was written; 130 stopped by Ctrl-C (143 by SIGTERM), with every
finished cell kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bench.commandline import flags
from bench.commandline.config_file import ASSIGNMENT, config_option
from bench.commandline.params import CommaList, Folder, PositiveFloat, Whole
from bench.runner.launchers import LAUNCHERS
from bench.tracking import registry as trackers
from reports.formats.choice import form_options

# torch, pandas and the rest are imported where they are needed, so that `--help` and a mistyped flag answer at once.

DEFAULT_OUT = Path("results/runs")


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--methods", default="all", help="Comma list; options in brackets: noprop[T=20,sampler=mean]. Or: all.")
@click.option(
    "--datasets",
    type=CommaList(click.STRING),
    default="digits",
    help="Comma list of data sets, npz:PATH and folder:PATH among them; --list has all.",
)
@flags.preset
@click.option(
    "--seeds",
    type=CommaList(Whole(0, 2**32 - 1)),  # what every library's generator takes
    help="Comma list of seeds.  [default: the preset's]",
)
@flags.epochs
@click.option("--eval-every", type=Whole(1), default=1, help="Evaluate after every so many epochs, and after the last.")
@flags.batch_size
@click.option("--lr", type=PositiveFloat(), help="Learning rate.  [default: the preset's, 0.001]")
@click.option("--weight-decay", type=PositiveFloat(zero=True), help="Weight decay.  [default: the preset's, 0.001]")
@flags.train_size
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar=ASSIGNMENT,
    help="A method option for every method that has it: T=20. Repeatable.",
)
@flags.device
@click.option("--threads", type=Whole(1, 1024), help="CPU threads of a cell.  [default: all cores of this machine]")
@flags.augment
@flags.amp
@click.option(
    "--low-memory/--no-low-memory",
    help="Train methods that can be (noprop) part after part, too: a row of its own with less memory.",
)
@click.option(
    "--parallel",
    type=click.Choice(["blocks"]),
    help="blocks: under torchrun, every rank trains its own blocks.  [default: a cell is one process]",
)
@click.option(
    "--launcher",
    type=click.Choice(LAUNCHERS),
    help="What runs the cells: this machine, or Slurm or Ray on others; then times are not to be compared.  [default: "
    "local]",
)
@click.option(
    "--launcher-set",
    "told",
    multiple=True,
    metavar=ASSIGNMENT,
    help="An option of the launcher: partition=gpu, address=HOST:PORT. Repeatable.",
)
@click.option(
    "--jobs",
    type=Whole(1, 1024),
    help="Cells side by side. With more than 1, times are not to be compared.  [default: 1; slurm and ray: all]",
)
@click.option("--timeout", type=PositiveFloat(), help="Seconds that one cell may take.  [default: no limit]")
@click.option("--retries", type=Whole(0, 100), default=0, help="How often a cell that failed is tried again.")
@flags.data_dir
@click.option("--out", type=Folder(path_type=Path), default=DEFAULT_OUT, help="Folder in which the run gets its own.")
@click.option(
    "--track",
    type=click.Choice([*trackers.names(), "none"]),
    help="Hand each finished cell to this experiment tracker.  [default: none; with --resume the run's]",
)
@click.option("--save/--no-save", help="Keep the trained models in the run's folder, for python -m bench.predict.")
@form_options
@click.option(
    "--resume", metavar="RUN", help="Go on with a run: do its unfinished and failed cells, with its settings."
)
@config_option()
@click.option(
    "--print-config",
    is_flag=True,
    is_eager=True,
    help="Print the whole configuration as a file for --config, and run nothing.",
)
@click.option("--list", "list_all", is_flag=True, is_eager=True, help="List methods and data sets, one line each.")
def cli(list_all: bool, print_config: bool, **given: Any) -> int:
    """Train methods with and without backpropagation under equal conditions, measure them, and write a report.

    Every (data set, method, seed) is one cell, trained in its own process. Results and report go to the run's folder.
    """
    if list_all:
        _list()
        return 0
    from bench.runner.execute import carry_out
    from bench.runner.torchrun.launch import find_place

    place = find_place()
    if place is not None and place.rank > 0:
        return 0 if print_config else _follow()
    return carry_out(sys.argv[1:], print_config=print_config, **given)[1]


def _follow() -> int:
    """Take part in what rank 0 does; it is the one that says how it went."""
    from bench.commandline.exit_codes import stop_code
    from bench.runner.torchrun.team import team

    try:
        team().follow()
    except KeyboardInterrupt as stop:
        return stop_code(stop)
    return 0


def _list() -> None:
    import methods
    from bench import datasets

    _print_list("methods", {name: method.summary for name, method in methods.available().items()})
    own = {scheme.usage: scheme.summary for scheme in datasets.schemes().values()}
    _print_list("data sets", {name: dataset.summary for name, dataset in datasets.available().items()} | own)


def _print_list(title: str, summaries: dict[str, str]) -> None:
    width = max(map(len, summaries)) + 2
    print(f"{title}:")
    for name, summary in summaries.items():
        print(f"  {name:<{width}}{summary}")


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.commandline.exit_codes import run_cells_to_exit

    run_cells_to_exit(cli, "python -m bench.run")


if __name__ == "__main__":
    main()
