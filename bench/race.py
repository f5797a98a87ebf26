"""`python -m bench.race`: time training steps of methods in turns with the reference's, by themselves or for a run.

Exit codes: 0 success; 1 a method failed and is left out; 2 something given cannot be used; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import compare, where
from bench.commandline.help import Command
from bench.commandline.params import FiniteFloat, refuse_given

if TYPE_CHECKING:
    from results.race import DatasetRace, MethodRace


@click.command(cls=Command)
@click.argument("run", required=False, type=click.Path(path_type=Path))
@flags.methods
@flags.one_dataset
@flags.method_options
@compare("--against-itself", is_flag=True, help="Time each method against itself (A/A): how sure is a ratio here?")
@flags.preset()
@flags.batch_size
@flags.amp
@flags.train_size
@flags.augment
@flags.data_dir
@flags.device
@flags.threads
@where(
    "--seconds",
    type=FiniteFloat(0),
    default=10.0,
    help="Time for each method, unless four pairs in each of eight rounds take longer, or other programs come and go.",
)
def cli(run: Path | None, data_dir: Path | None, seconds: float, **given: Any) -> int:
    """Time each method's training steps in turns with backprop's.

    Where backprop is missing, backprop-plain takes its place. Both are held ready in processes of their own. With RUN,
    a run's folder, its methods are timed, perhaps again, and its report is built with the result.
    """
    from bench import datasets

    data_dir = datasets.data_root(data_dir)
    if run is None:
        return _alone(data_dir, seconds, **given)
    refuse_given(given, "with RUN, whose methods are timed as they ran: leave it out")
    return _of_run(run, data_dir, seconds)


def _of_run(run: Path, data_dir: Path | None, seconds: float) -> int:
    from bench.runner.folders import run_lock
    from bench.runner.race import race_run
    from reports.build import build_report
    from results.store import read_run

    record = read_run(run)
    with run_lock(run):
        races = race_run(run, record, data_dir, again=True, seconds=seconds)
        if not races:
            return 2  # the reason has been said
        for each in races:
            print(f"{each.dataset}\n{_table([each])}\n")
        print(build_report(run))
    return 1 if any(each.failed for each in races) else 0


def _alone(data_dir: Path | None, seconds: float, *, dataset: str, against_itself: bool, **given: Any) -> int:
    from bench.errors import UserError
    from bench.meters.environment import available_cores
    from bench.planning.method_spec import parse_settings
    from bench.planning.plan import make_plan
    from bench.runner.race import Heat, heat_of, race_methods
    from bench.runner.racers import RaceError

    given["threads"] = given["threads"] or available_cores()
    given["settings"] = parse_settings(given["settings"])
    cells = make_plan(datasets=(dataset,), seeds=(0,), data_dir=data_dir, **given)
    heats = [Heat(cell, [cell]) for cell in cells]
    if not against_itself:
        heat = heat_of(cells)
        if heat is None or not heat.rivals:
            raise UserError("a race takes backprop and another method: name them with --methods, or --against-itself")
        heats = [heat]
    try:
        races = [race_methods(heat, data_dir, seconds) for heat in heats]
    except RaceError as error:
        raise UserError(f"there is no race: {error}") from None
    print(_table(races))
    return 1 if any(race.failed for race in races) else 0


def _table(races: Iterable[DatasetRace]) -> str:
    """Times per step and their ratio, a row for each method."""
    from statistics import median

    from tabulate import tabulate

    from reports.statistics.race import race_effects

    rows = []
    for each, effect in ((each, race_effects(race)[each.method]) for race in races for each in race.methods):
        interval = effect.alone and f"{math.exp(effect.alone.low):.3f} to {math.exp(effect.alone.high):.3f}"
        times = [f"{median(times) * 1000:.3g}" for times in (each.seconds, each.reference_seconds)]
        rows.append([each.method, *times, f"{math.exp(effect.value):.3f}", interval or "-", _pairs(each)])
    headers = ["method", "ms per step", "reference's", "ratio", "95% interval", "pairs"]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *["right"] * 5))


def _pairs(race: MethodRace) -> str:
    return f"{len(race.seconds)}{' beside others' if race.beside_others else ''}"


main = exits(cli, "python -m bench.race")

if __name__ == "__main__":
    main()
