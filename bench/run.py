"""`python -m bench.run`: train methods, measure them and write a report.

Exit codes: 0 every cell succeeded; 1 a cell failed or a model could not be saved (all results are kept); 2 something
given cannot be used, and nothing was written; 130 stopped by Ctrl-C (143 by SIGTERM, 129 by SIGHUP), finished cells are
kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commandline import flags
from bench.commandline.config_file import config_option
from bench.commandline.exit_codes import exits
from bench.commandline.flags import ASSIGNMENT, compare, output, train, where
from bench.commandline.help import Command
from bench.commandline.params import CommaList, FiniteFloat, Whole
from bench.planning.presets import CORE
from bench.runner.launchers import LAUNCHERS
from bench.tracking import registry as trackers
from reports.formats.choice import form_options

if TYPE_CHECKING:
    from bench.runner.torchrun.rank_info import RankInfo

# torch, pandas and the rest are imported where they are used, so that `--help` and a mistyped flag answer at once.

DEFAULT_OUT = Path("results/runs")


@click.command(cls=Command)
@flags.methods
@flags.datasets
@compare("--seeds", type=CommaList(flags.SEED), show_default="the preset's", help="Comma-separated list.")
@flags.method_options
@flags.preset()
@flags.epochs
@train(
    "--eval-every",
    type=Whole(1),
    default=1,
    metavar="N",
    help="Evaluate after every N epochs and after the last.",
)
@flags.batch_size
@train("--lr", type=FiniteFloat(0, min_open=True), show_default="the preset's, 0.001", help="Learning rate.")
@train("--weight-decay", type=FiniteFloat(0), show_default="the preset's, 0.001", help="Weight decay.")
@train("--clip", type=FiniteFloat(0, min_open=True), metavar="NORM", show_default="off", help="Clip gradients' norm.")
@train(
    "--ema",
    type=FiniteFloat(0, 1, min_open=True, max_open=True),
    metavar="DECAY",
    show_default="off",
    help="Evaluate with averaged weights.",
)
@train(
    "--lr-schedule",
    type=click.Choice(["constant", "cosine"]),
    default="constant",
    help="Learning rate after the warm-up.",
)
@train("--warmup-steps", type=Whole(0), default=0, metavar="N", help="Steps of rising learning rate.")
@flags.amp
@train("--low-memory/--no-low-memory", help="Also run supported methods one block at a time, as an extra row.")
@flags.train_size
@flags.augment
@flags.duplicates
@flags.data_dir
@flags.device
@flags.threads
@where("--parallel", type=click.Choice(["blocks"]), help="blocks: split each cell's blocks over the ranks of torchrun.")
@where(
    "--launcher",
    type=click.Choice([*LAUNCHERS]),
    show_default="local",
    help="Where cells run. Timings from slurm and ray are not comparable.",
)
@where(
    "--launcher-set",
    "launcher_set",
    multiple=True,
    metavar=ASSIGNMENT,
    callback=flags.besides_file,
    help="Launcher option: partition=gpu, address=HOST:PORT. Repeatable.",
)
@where(
    "--jobs",
    type=Whole(1, 1024),
    show_default="1; slurm and ray: all",
    help="Cells to run at once. With more than 1, timings are not comparable.",
)
@flags.timeout
@where("--retries", type=Whole(0, 100), default=0, help="Retries per failed cell.")
@where(
    "--race/--no-race",
    default=True,
    help="Then time training steps in turns with backprop's.",
)
@flags.out(DEFAULT_OUT, "Parent folder for runs.")
@output(
    "--checkpoint-every",
    type=Whole(1),
    metavar="N",
    show_default="1% of the time",
    help="Save the state of training every N epochs; --resume and --retries go on from there.",
)
@form_options
@output("--save/--no-save", help="Save the trained models for python -m bench.predict.")
@output(
    "--margin-accuracy",
    type=FiniteFloat(0, 100),
    default=0.5,
    metavar="POINTS",
    help="Call accuracies equivalent within this many percentage points.",
)
@output(
    "--margin-time",
    type=FiniteFloat(0),
    default=5.0,
    metavar="PERCENT",
    help="Call times equivalent within this many percent of the reference's.",
)
@output("--margin-memory", type=FiniteFloat(0), default=5.0, metavar="PERCENT", help="The same for memory.")
@output(
    "--track",
    type=click.Choice([*trackers.names(), "none"]),
    metavar="NAME",
    show_default="none; with --resume, the run's",
    help=f"Send each finished cell to a tracker: {', '.join(trackers.names())} or none.",
)
@click.option("--resume", metavar="RUN", help="Resume a run: its unfinished and failed cells, same settings.")
@config_option()
@click.option(
    "--print-config", is_flag=True, is_eager=True, help="Print the configuration as a --config file and exit."
)
@click.option("--list", "list_all", is_flag=True, is_eager=True, help="List methods and data sets and exit.")
def cli(list_all: bool, **given: Any) -> int:
    """Train methods with and without backpropagation, measure them alike, and write a report.

    A cell is one method trained on one data set with one seed, in a process of its own. Results and report go to a
    new folder.
    """
    if list_all:
        _list()
        return 0
    from bench.commandline.print_config import config_as_toml
    from bench.runner.execute import execute
    from bench.runner.prepare import prepare
    from bench.runner.torchrun.rank_info import find_rank_info

    rank_info = find_rank_info()
    if rank_info is not None and rank_info.rank > 0:
        return 0 if given["print_config"] else _follow(rank_info)
    run = prepare(sys.argv[1:], given)
    if given["print_config"]:
        context = click.get_current_context()
        print(config_as_toml(context, run.cells, run.winners, data_dir=run.data_dir), end="")
        return 0
    return execute(run)


def _follow(rank_info: RankInfo) -> int:
    """Take part in what rank 0 does, which reports on it."""
    from bench.commandline.exit_codes import stop_code
    from bench.runner.torchrun.rank_group import RankGroup

    try:
        with RankGroup(rank_info) as group:
            group.follow()
    except KeyboardInterrupt as stop:
        return stop_code(stop)
    return 0


def _list() -> None:
    import methods
    from bench import datasets

    own = {scheme.usage: scheme.summary for scheme in datasets.schemes().values()}
    marks = {True: f"{CORE}  ", False: " " * (len(CORE) + 2)}
    for title, listed in (
        (
            f"methods ({CORE}: those that run by default)",
            {name: f"{marks[each.core]}{each.summary}" for name, each in methods.available().items()},
        ),
        ("data sets", {name: dataset.summary for name, dataset in datasets.available().items()} | own),
    ):
        width = max(map(len, listed)) + 2
        print(f"{title}:", *(f"  {name:<{width}}{summary}" for name, summary in listed.items()), sep="\n")


main = exits(cli, "python -m bench.run", runs_cells=True)

if __name__ == "__main__":
    main()
