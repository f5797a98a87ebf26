"""The harness in a notebook or a script: run cells, and get results as a pandas DataFrame.

`run_cells` does what `python -m bench.run` does, by the same code: a process per cell, a folder for the run, a report.
Importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from methods.core.errors import did_you_mean
from methods.core.options import to_text

if TYPE_CHECKING:
    import click
    import pandas as pd

_NO_ARGUMENTS = {"list", "print_config", "help"}
_NESTED = ("data", "machine")
"""Records that a cell may lack; if null, they are not columns."""


def run_cells(
    methods: str | Iterable[str] | None = None, datasets: str | Iterable[str] | None = None, **flags: Any
) -> pd.DataFrame:
    """Train and measure every (data set, method, seed), each in its own process, and write the run's report.

    Those processes must know the methods and data sets too: built in, or from an installed package.

    Args:
        methods: As for `--methods`, or a list; None: core.
        datasets: As for `--datasets`, or a list; None: digits.
        flags: Any other flag of `python -m bench.run`, with _ for -: `seeds=(0, 1)`, `epochs=2`, `train_size=1000`,
            `amp=True`, `set={"T": 20}`, `out="my-runs"`, `resume="NAME"`. None takes the flag's default.

    Returns:
        The run's `load_results`, failed cells included.

    Raises:
        UserError: something given cannot be used, and nothing was written.
        KeyboardInterrupt: stopped (Ctrl-C, *Interrupt the kernel*); finished cells are kept, and `resume` goes on.
    """
    import click

    from bench.run import cli
    from bench.runner.execute import execute
    from bench.runner.prepare import prepare
    from bench.runner.torchrun.rank_info import find_rank_info
    from results.store import ResultsError

    if find_rank_info() is not None:
        raise UserError("run_cells was started by torchrun: with several ranks, use torchrun -m bench.run")
    arguments = list(_as_typed(cli, {"methods": methods, "datasets": datasets} | flags))
    try:
        with cli.make_context("python -m bench.run", list(arguments)) as context:
            run = prepare(arguments, {name: value for name, value in context.params.items() if name != "list_all"})
            code = execute(run)
    except click.ClickException as error:
        raise UserError(" ".join(error.format_message().split())) from None
    except ResultsError as error:
        raise UserError(str(error)) from None
    if code not in (0, 1):
        raise KeyboardInterrupt(f"go on with run_cells(resume={str(run.folder)!r})")
    return load_results(run.folder)


def load_results(run: str | Path, out: str | Path | None = None, *, epochs: bool = False) -> pd.DataFrame:
    """A run's results, one row per cell, in the order in which the cells ended.

    Columns have the names of `results/schema.py`, those of nested records joined by dots: `config.lr`,
    `config.options.T`, `data.n_train`. What was not measured is missing.

    Args:
        run: The run's folder, or its name inside `out`.
        out: Parent folder for runs; None: results/runs.
        epochs: One row per evaluated epoch instead: dataset, method, seed, the epoch's measures, and
            `elapsed_seconds`, the training time spent by its end.

    Raises:
        UserError: there is no such run, or its files are damaged.
    """
    import pandas as pd

    from bench.run import DEFAULT_OUT
    from bench.runner.folders import find_run
    from results.store import ResultsError, read_cells, read_run, to_epoch_frame, to_frame

    folder = find_run(str(run), DEFAULT_OUT if out is None else Path(out))
    try:
        read_run(folder)
        cells = read_cells(folder)
    except ResultsError as error:
        raise UserError(str(error)) from None
    if epochs:
        return to_epoch_frame(cells).drop(columns="diagnostics", errors="ignore")
    rows = [
        cell.model_dump(exclude={"epochs", *(name for name in _NESTED if getattr(cell, name) is None)})
        for cell in cells
    ]
    return pd.json_normalize(rows) if rows else to_frame([]).drop(columns=["epochs", *_NESTED])


def _as_typed(command: click.Command, flags: Mapping[str, Any]) -> Iterator[str]:
    """The words of the equivalent command line.

    Raises:
        UserError: the command has no such flag, or a switch is given another value than True or False.
    """
    options = {option.opts[0].lstrip("-").replace("-", "_"): option for option in command.params}
    known = [name for name in options if name not in _NO_ARGUMENTS]
    for name, value in flags.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise UserError(f"run_cells has no argument {name!r}{hint}: the arguments are {', '.join(known)}")
        if value is not None:
            yield from _words(options[name], name, value)


def _words(option: click.Parameter, name: str, value: Any) -> Iterator[str]:
    flag = option.opts[0]
    is_list = isinstance(value, Iterable) and not isinstance(value, str)
    if getattr(option, "is_flag", False):
        if not isinstance(value, bool):
            raise UserError(f"{name}={value!r} is not accepted: give True or False")
        yield from [flag] if value else option.secondary_opts[:1]  # which a file may have turned on
    elif getattr(option, "multiple", False):
        given = value if is_list else [value]
        if isinstance(value, Mapping):
            given = [f"{key}={to_text(one)}" for key, one in value.items()]
        for one in given:
            yield from (flag, to_text(one))
    else:
        yield from (flag, ",".join(map(to_text, value)) if is_list else to_text(value))
