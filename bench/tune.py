"""`python -m bench.tune`: search hyperparameters with the same number of trials for every method.

With `--sweep lr` every method is trained at every rate of a grid instead. A trial trains a method and looks at its
validation accuracy; test images are not used. Optuna proposes a search's trials and stores them. `python -m bench.run
--config tuned` runs with the winners.

Exit codes: 0 success; 1 every trial of some method failed (other winners are kept); 2 something given cannot be used,
and nothing was tried; 130 stopped by Ctrl-C (143 by SIGTERM), finished trials are kept.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits, stop_code
from bench.commandline.flags import ASSIGNMENT, compare, output
from bench.commandline.help import Command, group
from bench.commandline.params import CommaList, FiniteFloat, Whole, refuse_given
from bench.errors import UserError
from bench.planning.presets import CORE, DEFAULT_TUNED, PAPER, WINNERS_KEY
from results.files import STUDY_FILE

if TYPE_CHECKING:
    from bench.planning.search import Search
    from results.conditions import Winner
    from results.schema import PlannedCell

SEED = 1000
"""In no preset: the training that chose a winner must not also be the one that reports it."""
_LAST_ALONE = sys.maxsize
"""Evaluate only the last epoch, which alone decides."""


search = group("How to search")
sweep = group("Or: a sweep instead of a search")


@click.command(cls=Command)
@compare(
    "--methods",
    default=CORE,
    metavar="NAME,...",
    help="Comma-separated list, or all; options in brackets are fixed: noprop[T=20].",
)
@flags.datasets
@compare(
    "--set",
    "settings",
    multiple=True,
    metavar=ASSIGNMENT,
    help="Fix an option of every method that has it: T=20. Repeatable.",
)
@search(
    "--trials",
    type=Whole(1, 10_000),
    default=20,
    help="Trials per method and data set, defaults first.",
)
@search("--seed", type=flags.SEED, default=SEED, help="Seed of all trials and of the search.")
@sweep("--sweep", type=click.Choice(["lr"]), show_default="none", help="Validation accuracy at each of --rates.")
@sweep(
    "--rates",
    type=CommaList(FiniteFloat(0, min_open=True)),
    default="1e-4,3e-4,1e-3,3e-3,1e-2",
    metavar="RATE,...",
    help="Rates, besides the default.",
)
@sweep("--seeds", type=CommaList(flags.SEED), default=str(SEED), metavar="SEED,...", help="Seeds.")
@flags.preset()
@flags.epochs
@flags.batch_size
@flags.amp
@flags.train_size
@flags.augment
@flags.duplicates
@flags.data_dir
@flags.device
@flags.threads
@flags.timeout
@flags.out(DEFAULT_TUNED, "Parent folder for searches.")
@output("--name", show_default="the data sets", help="Name of the search's folder; an existing search is continued.")
def cli(sweep: str | None, rates: tuple[float, ...], seeds: tuple[int, ...], **given: Any) -> int:
    """Tune the hyperparameters of each method, with the same number of trials for all.

    Searches learning rate, weight decay and method options, starting from the defaults. The winner is the trial with
    the highest validation accuracy after the last epoch, the earliest of several; a failed trial counts as one. Run
    the same command again to continue a search that was stopped, or with a higher --trials to extend it.

    With --sweep lr, trains each method at each rate of a grid and writes a report: whether the default rate is near
    each method's best. The same command continues a sweep that was stopped; other methods, rates or seeds add to it.
    """
    if sweep is None:
        refuse_given(("rates", "seeds"), "without --sweep: leave it out, or add --sweep lr")
        return _search(**given)
    refuse_given(("trials", "seed"), "with --sweep, which has --rates and --seeds: leave it out")
    del given["trials"], given["seed"]
    return _sweep(rates, seeds, **given)


def _sweep(
    rates: tuple[float, ...], seeds: tuple[int, ...], timeout: float | None, out: Path, name: str | None, **given: Any
) -> int:
    """Validation accuracy against learning rate; the exit code."""
    from bench.planning.grid import rate_points
    from bench.runner.folders import named_folder
    from bench.runner.grid import new_grid, run_grid
    from reports.sweeps.lr_sweep import build_lr_report

    request = _request(given)
    points, default = rate_points(rates, seeds=seeds, eval_every=_LAST_ALONE, **request)
    folder = named_folder(out, f"{_stems(point.cell for point in points)}-lr" if name is None else name)
    record = new_grid("bench.tune", "lr", points, default)
    return run_grid(folder, record, build_lr_report, trial=True, data_dir=request["data_dir"], timeout=timeout)


def _search(trials: int, seed: int, timeout: float | None, out: Path, name: str | None, **given: Any) -> int:
    """The search and its winners; the exit code."""
    if importlib.util.find_spec("optuna") is None:
        raise UserError("a search needs Optuna, which is not installed: python -m pip install 'noprop-bench[tune]'")
    from bench.planning.method_spec import parse_methods
    from bench.planning.plan import make_plan
    from bench.planning.search import open_searches, space_of
    from bench.runner.folders import named_folder, run_lock

    request = _request(given)
    data_dir = request["data_dir"]
    cells = make_plan(seeds=(seed,), eval_every=_LAST_ALONE, **request)
    specs = parse_methods(request["methods"], request["settings"], paper=request["preset"] == PAPER)
    spaces = {spec.label: space_of(spec) for spec in specs}
    folder = named_folder(out, _stems(cells) if name is None else name)
    with run_lock(folder):
        searches = open_searches(folder / STUDY_FILE, cells, spaces)
        try:
            _run(searches, trials, data_dir, timeout)
        except KeyboardInterrupt as stop:
            ended = sum(min(len(search.ended), trials) for search in searches)
            print(
                f"stopped: {ended} of {trials * len(searches)} trials have ended and are kept in {folder}; continue "
                "with the same command",
                file=sys.stderr,
            )
            return stop_code(stop)
        except OSError as error:
            raise UserError(f"cannot write to the study in {folder}: {error.strerror or error}") from None
        most = max(len(search.ended) for search in searches)
        if most > trials:
            print(
                f"note: {folder} has {most} trials of a method, of which the first {trials} count here; give "
                f"--trials {most} to count all",
                file=sys.stderr,
            )
        return _conclude(folder, {search: search.winner(trials) for search in searches})


def _request(given: dict[str, Any]) -> dict[str, Any]:
    """What `make_plan` takes, from the flags."""
    from bench import datasets
    from bench.meters.environment import available_cores
    from bench.planning.method_spec import parse_settings

    return given | {
        "data_dir": datasets.data_root(given["data_dir"]),
        "threads": given["threads"] or available_cores(),
        "settings": parse_settings(given["settings"]),
    }


def _stems(cells: Iterable[PlannedCell]) -> str:
    from results.files import file_stem

    return "+".join(dict.fromkeys(file_stem(cell.dataset) for cell in cells))


def _run(searches: Sequence[Search], trials: int, data_dir: Path | None, timeout: float | None) -> None:
    """Run the missing trials. Methods take turns, and each round starts with another one."""
    from bench.runner.progress import make_display
    from bench.runner.sweep import run_cells

    asked: list[Search] = []

    def cells() -> Iterator[list[PlannedCell]]:
        """Each is proposed only when the previous one has ended, because it depends on that result."""
        for number in range(trials):
            first = number % len(searches)
            for search in (*searches[first:], *searches[:first]):
                if len(search.ended) <= number:
                    asked.append(search)
                    yield [search.start_trial()]

    run_cells(
        cells(),
        lambda result: asked.pop().end_trial(result),
        make_display(trials * len(searches), sum(min(len(search.ended), trials) for search in searches)),
        run_id="tuning",
        data_dir=str(data_dir) if data_dir else None,
        timeout_seconds=timeout,
        trial=True,
    )


def _conclude(folder: Path, winners: Mapping[Search, Winner | None]) -> int:
    """Write the winners and print them next to the defaults."""
    import tomlkit
    from tabulate import tabulate

    from bench.planning.tuned import WINNERS_FILE, as_table, keep_alike, read_winners
    from results.store import replace_file

    found: dict[str, dict[str, Winner]] = {}
    rows = []
    for search, winner in winners.items():
        cell = search.cell
        if winner is None:
            rows.append([cell.dataset, cell.method, str(len(search.ended)), "", "", "every trial failed"])
            continue
        found.setdefault(cell.dataset, {})[cell.method] = winner
        tuning = winner.tuning
        before = "failed" if tuning.default_val_accuracy is None else f"{tuning.default_val_accuracy:.2%}"
        tried = f"{tuning.trials}" + (f" ({tuning.failed} failed)" if tuning.failed else "")
        best = {"lr": winner.lr, "weight_decay": winner.weight_decay, **winner.options}
        shown = "defaults" if tuning.trial == 0 else ", ".join(f"{key}={value:g}" for key, value in best.items())
        rows.append([cell.dataset, cell.method, tried, before, f"{tuning.val_accuracy:.2%}", shown])
    path = folder / WINNERS_FILE
    if path.exists():
        found = keep_alike(read_winners(path), found)
    if found:
        document = tomlkit.document()
        document.add(tomlkit.comment("Written by python -m bench.tune; for --config of python -m bench.run."))
        document.add(WINNERS_KEY, tomlkit.item(as_table(found)))
        replace_file(path, tomlkit.dumps(document).encode())
    headers = ["data set", "method", "trials", "validation: defaults", "best", "hyperparameters of the best"]
    print(tabulate(rows, headers, disable_numparse=True))
    print(path if found else f"no trial succeeded, so there are no winners; the errors are in {folder}")
    return 1 if None in winners.values() else 0


main = exits(cli, "python -m bench.tune", runs_cells=True)

if __name__ == "__main__":
    main()
