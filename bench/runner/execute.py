"""From the values of the command line's options to a run: plan it, or go on with one, and conduct it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench import datasets
from bench.commandline.config_file import file_flags
from bench.commandline.print_config import config_as_toml
from bench.errors import UserError
from bench.meters.environment import available_cores
from bench.planning.method_spec import parse_settings
from bench.planning.plan import Request, check_cells, make_plan
from bench.planning.presets import TunedSource
from bench.planning.resume import check_settings, unfinished
from bench.planning.tuned import find_winners
from bench.runner.conduct import conduct
from bench.runner.launchers.base import opened
from bench.runner.launchers.placement import choose, go_on
from bench.runner.lock import run_lock
from bench.runner.sweep import find_run, start_run
from bench.runner.torchrun.launch import check_launch, check_ranks, command_start, find_place
from bench.runner.torchrun.team import leading
from bench.tracking import registry as trackers
from reports.formats.choice import Forms
from results.schema import LauncherName
from results.store import read_cells, read_run

_NOT_FOR_RESUME = {"resume", "out", "data_dir", "track", "launcher", "told", *Forms._fields}
"""What a resumed run may be given anew: it says nothing of what the run's cells are."""
_BY_USER = {click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP}
"""Where a value is from that a person has written: the command line, or a file (`--config`)."""


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
    jobs: int | None,
    launcher: LauncherName | None,
    told: tuple[str, ...],
    timeout: float | None,
    retries: int,
    html: bool,
    latex: bool,
    **given: Any,
) -> tuple[Path | None, int]:
    """Do what the options of `bench.run` say, inside its context: `arguments` as they are typed, the others by values.

    Returns:
        The run's folder (None where the configuration was only printed) and the exit code.

    Raises:
        UserError, ResultsError: something given cannot be used; nothing was written.
    """
    context = click.get_current_context()
    forms = Forms(html, latex)
    place = find_place()
    data_dir = datasets.data_root(data_dir)
    ranks = place.ranks if place else 1
    options = parse_settings(told, example="partition=gpu")
    if resume is not None:
        if print_config:
            raise UserError("--print-config is not accepted with --resume, which keeps what the run's run.json says")
        run = find_run(resume, out)
        record, rows = read_run(run), read_cells(run)
        where = go_on(record, launcher, options, jobs)
        winners = find_winners(config, dict.fromkeys(cell.dataset for cell in record.cells))
        check_settings(record, _given(context), winners, elsewhere=where.elsewhere)
        check_launch(place, [cell.config for cell in record.cells], where)
        check_ranks(place, rows)
        cells = unfinished(run, record, rows)
        check_cells(cells, data_dir, ranks, elsewhere=where.elsewhere)
        tracker = _tracker(record.track if track is None else track)
        with run_lock(run), leading(place), opened(where, cells, record.timeout_seconds) as engine:
            # Read again: until now, another process may have added rows.
            cells = unfinished(run, record, read_cells(run))
            again = where.again(record)
            if tracker != record.track:
                again += ["--track", tracker or "none"]
            return run, conduct(run, cells, data_dir, where.jobs, engine, track=tracker, forms=forms, again=again)
    where = choose(launcher or "local", options, jobs)
    threads, sharing = given["threads"], (1 if where.elsewhere else where.jobs) * (place.local_ranks if place else 1)
    given["threads"] = threads or max(1, available_cores() // sharing)
    given["settings"] = parse_settings(given["settings"])
    winners = find_winners(config, given["datasets"])
    request = Request(data_dir=data_dir, ranks=ranks, winners=winners, elsewhere=where.elsewhere, **given)
    cells = make_plan(request)
    if print_config:
        print(config_as_toml(context, cells, winners, data_dir=data_dir), end="")
        return None, 0
    check_launch(place, [cell.config for cell in cells], where)
    tracker = _tracker(track)
    with opened(where, cells, timeout) as engine:
        if where.elsewhere and threads is None:
            print(
                f"note: each cell asks for {request.threads} CPUs, as many as are here: see --threads", file=sys.stderr
            )
        run = start_run(
            out,
            cells,
            shlex.join([*command_start(place), *arguments]),
            save_models=save,
            jobs=min(where.jobs, len(cells)) if where.elsewhere else where.jobs,
            launcher=where.launcher,
            launcher_options=where.options,
            timeout_seconds=timeout,
            retries=retries,
            track=tracker,
        )
        with run_lock(run), leading(place):
            return run, conduct(run, cells, data_dir, where.jobs, engine, track=tracker, forms=forms)


def _tracker(name: str | None) -> str | None:
    """The name of a tracker that can be used, or None where none is asked for."""
    if name in (None, "none"):
        return None
    trackers.get(name)
    return name


def _given(context: click.Context) -> dict[str, Any]:
    """What the user wrote, on the command line or in a file, that says what a run is."""
    flags = {option.name for option in file_flags(context.command).values()}
    return {
        name: value
        for name, value in context.params.items()
        if name in flags and name not in _NOT_FOR_RESUME and context.get_parameter_source(name) in _BY_USER
    }
