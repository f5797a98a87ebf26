"""The command line: `python -m bench.run`. Reads what is wanted, hands it over, and says how it went.

Exit codes: 0 all cells ended well; 1 a cell failed (the others are kept), or a model could not be saved (its result is
kept); 2 something given cannot be used, and nothing was written; 130 stopped by Ctrl-C (143 by SIGTERM), with every
finished cell kept.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.config import ASSIGNMENT, TunedSource, config_option, settings_of
from bench.errors import UserError
from bench.params import CommaList, Folder, PositiveFloat, Whole
from bench.presets import PRESETS
from bench.tracking import registry as trackers
from reports.forms import Forms, form_options

# torch, pandas and the rest are imported where they are needed, so that `--help` and a mistyped flag answer at once.

DEFAULT_OUT = Path("results/runs")
_NOT_FOR_RESUME = {"resume", "out", "data_dir", "track", *Forms._fields}
_BY_USER = {click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP}
"""Where a value is from that a person has written: the command line, or a file (`--config`)."""


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--methods", default="all", help="Comma list; options in brackets: noprop[T=20,sampler=mean]. Or: all.")
@click.option("--datasets", type=CommaList(click.STRING), default="digits", help="Comma list of data sets.")
@click.option("--preset", type=click.STRING, default="quick", help=f"How much work: {', '.join(PRESETS)}.")
@click.option(
    "--seeds",
    type=CommaList(Whole(0, 2**32 - 1)),  # what every library's generator takes
    help="Comma list of seeds.  [default: the preset's]",
)
@click.option("--epochs", type=Whole(1), help="Passes over the data.  [default: the preset's for the data set]")
@click.option("--eval-every", type=Whole(1), default=1, help="Evaluate after every so many epochs, and after the last.")
@click.option("--batch-size", type=Whole(2), help="Images a batch.  [default: the preset's, 128]")
@click.option("--lr", type=PositiveFloat(), help="Learning rate.  [default: the preset's, 0.001]")
@click.option("--weight-decay", type=PositiveFloat(zero=True), help="Weight decay.  [default: the preset's, 0.001]")
@click.option("--train-size", type=Whole(1), help="Train on a fixed class-balanced subset.  [default: all]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar=ASSIGNMENT,
    help="A method option for every method that has it: T=20. Repeatable.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=Whole(1, 1024), help="CPU threads of a cell.  [default: all cores]")
@click.option(
    "--augment",
    type=click.Choice(["none", "standard"]),
    default="none",
    help="standard: training images shifted and, where classes allow it, mirrored at random, alike for all methods.",
)
@click.option("--amp", is_flag=True, help="Mixed precision (bfloat16) for every method.")
@click.option(
    "--low-memory",
    is_flag=True,
    help="Train methods that can be (noprop) part after part, too: a row of its own with less memory.",
)
@click.option(
    "--parallel",
    type=click.Choice(["blocks"]),
    help="blocks: under torchrun, every rank trains its own blocks.  [default: a cell is one process]",
)
@click.option(
    "--jobs", type=Whole(1, 1024), default=1, help="Cells side by side. With more than 1, times are not to be compared."
)
@click.option("--timeout", type=PositiveFloat(), help="Seconds that one cell may take.  [default: no limit]")
@click.option("--retries", type=Whole(0, 100), default=0, help="How often a cell that failed is tried again.")
@click.option("--data-dir", type=Folder(path_type=Path), help="Folder with data files; or set NOPROP_DATA.")
@click.option("--out", type=Folder(path_type=Path), default=DEFAULT_OUT, help="Folder in which the run gets its own.")
@click.option(
    "--track",
    type=click.Choice([*trackers.names(), "none"]),
    help="Hand each finished cell to this experiment tracker.  [default: none; with --resume the run's]",
)
@click.option("--save", is_flag=True, help="Keep the trained models in the run's folder, for python -m bench.predict.")
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
    from bench.parallel.launch import find_place

    place = find_place()
    if place is not None and place.rank > 0:
        return 0 if print_config else _follow()
    return carry_out(sys.argv[1:], print_config=print_config, **given)[1]


def carry_out(
    arguments: Sequence[str],
    *,
    config: tuple[TunedSource, ...],
    print_config: bool,
    resume: str | None,
    out: Path,
    data_dir: Path | None,
    track: str | None,
    save: bool,
    jobs: int,
    timeout: float | None,
    retries: int,
    html: bool,
    latex: bool,
    **given: Any,
) -> tuple[Path | None, int]:
    """Do what the options of `cli` say, inside its context: `arguments` as they are typed, the others by their values.

    Returns:
        The run's folder (None where the configuration was only printed) and the exit code.

    Raises:
        UserError, ResultsError: something given cannot be used; nothing was written.
    """
    from bench import datasets
    from bench.conduct import conduct
    from bench.environment import available_cores
    from bench.lock import held
    from bench.parallel.launch import check_launch, check_ranks, command_start, find_place
    from bench.parallel.team import leading
    from bench.plan import Request, check_cells, make_plan
    from bench.resume import check_settings, unfinished
    from bench.spec import parse_settings
    from bench.sweep import find_run, start_run
    from bench.tuned import find_winners
    from results.store import read_cells, read_run

    context = click.get_current_context()
    forms = Forms(html, latex)
    place = find_place()
    data_dir = datasets.data_root(data_dir)
    ranks = place.ranks if place else 1
    if resume is not None:
        if print_config:
            raise UserError("--print-config is not accepted with --resume, which keeps what the run's run.json says")
        run = find_run(resume, out)
        record, rows = read_run(run), read_cells(run)
        winners = find_winners(config, dict.fromkeys(cell.dataset for cell in record.cells))
        check_settings(record, _given(context), winners)
        check_launch(place, [cell.config for cell in record.cells], record.jobs)
        check_ranks(place, rows)
        check_cells(unfinished(run, record, rows), data_dir, ranks)
        tracker = _tracker(record.track if track is None else track)
        with held(run), leading(place):
            # Read again: until now, another process may have added rows.
            return run, conduct(run, unfinished(run, record, read_cells(run)), data_dir, track=tracker, forms=forms)
    given["threads"] = given["threads"] or max(1, available_cores() // (jobs * (place.local_ranks if place else 1)))
    given["settings"] = parse_settings(given["settings"])
    winners = find_winners(config, given["datasets"])
    cells = make_plan(Request(data_dir=data_dir, ranks=ranks, winners=winners, **given))
    if print_config:
        from bench.effective import effective_config

        print(effective_config(context, cells, winners, data_dir=data_dir), end="")
        return None, 0
    check_launch(place, [cell.config for cell in cells], jobs)
    tracker = _tracker(track)
    how = {"save_models": save, "jobs": jobs, "timeout_seconds": timeout, "retries": retries, "track": tracker}
    run = start_run(out, cells, shlex.join([*command_start(place), *arguments]), **how)
    with held(run), leading(place):
        return run, conduct(run, cells, data_dir, track=tracker, forms=forms)


def _tracker(name: str | None) -> str | None:
    """The name of a tracker that can be used, or None where none is asked for."""
    if name in (None, "none"):
        return None
    trackers.get(name)
    return name


def _follow() -> int:
    """Take part in what rank 0 does; it is the one that says how it went."""
    from bench.command import stop_code
    from bench.parallel.team import team

    try:
        team().follow()
    except KeyboardInterrupt as stop:
        return stop_code(stop)
    return 0


def _given(context: click.Context) -> dict[str, Any]:
    """What the user wrote, on the command line or in a file, that says what a run is."""
    flags = {param.name for _, param in settings_of(context.command)}
    return {
        name: value
        for name, value in context.params.items()
        if name in flags and name not in _NOT_FOR_RESUME and context.get_parameter_source(name) in _BY_USER
    }


def _list() -> None:
    import methods
    from bench import datasets

    print("methods:")
    for name, method in methods.available().items():
        print(f"  {name:<22}{method.summary}")
    print("data sets:")
    for name, dataset in datasets.available().items():
        print(f"  {name:<22}{dataset.summary}")
    for scheme in datasets.schemes().values():
        print(f"  {scheme.usage:<22}{scheme.summary}")


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.command import run_cells_to_exit

    run_cells_to_exit(cli, "python -m bench.run")


if __name__ == "__main__":
    main()
