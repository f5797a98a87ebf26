"""From the flags of `bench.run` to a planned run, new or resumed. Nothing is written yet."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from bench import datasets
from bench.commandline.config_file import file_flags
from bench.errors import UserError
from bench.meters.environment import available_cores
from bench.planning.method_spec import parse_settings
from bench.planning.plan import check_cells, make_plan
from bench.planning.resume import MARGINS, OF_THE_RUN, check_settings, margins_of, moved_to, unfinished
from bench.planning.sharing import share_trainings
from bench.planning.tuned import Winners, find_winners
from bench.runner.folders import find_run, new_run, without_out
from bench.runner.launchers.placement import Placement, choose_placement, resume_placement
from bench.runner.torchrun.rank_info import check_launch, check_ranks, command_start, find_rank_info
from bench.tracking import registry as trackers
from reports.formats.choice import PLAIN, Forms
from results.schema import PlannedCell, RunRecord
from results.store import read_cells, read_run

_NOT_FOR_RESUME = {"resume", "out", "data_dir", "track", "launcher", "launcher_set", *Forms._fields}
"""What a resumed run may be given anew: it does not decide what the run's cells are."""
_BY_USER = {click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP}
"""Where a value comes from that a person has written: the command line, or a file (`--config`)."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is ready to be executed."""

    folder: Path
    record: RunRecord
    cells: list[PlannedCell]
    """Those still to be done."""
    is_new: bool
    data_dir: Path | None
    placement: Placement = field(default_factory=Placement)
    track: str | None = None
    forms: Forms = PLAIN
    winners: Winners | None = None
    """The source of tuned hyperparameters."""


def prepare(arguments: Sequence[str], flags: Mapping[str, Any]) -> Run:
    """Plan what the flags of `bench.run` say, inside its context.

    Args:
        arguments: As typed, to be recorded.
        flags: Their values by the names of the command's parameters.

    Raises:
        UserError, ResultsError: something given cannot be used.
    """
    given = dict(flags)
    resume, out, data_dir = given.pop("resume"), given.pop("out"), datasets.data_root(given.pop("data_dir"))
    config, track, print_config = given.pop("config"), given.pop("track"), given.pop("print_config")
    forms = Forms(**{name: given.pop(name) for name in Forms._fields})
    launcher, jobs = given.pop("launcher"), given.pop("jobs")
    options = parse_settings(given.pop("launcher_set"), example="partition=gpu")
    rank_info = find_rank_info()
    ranks = rank_info.ranks if rank_info else 1

    if resume is not None:
        if print_config:
            raise UserError("--print-config is not accepted with --resume, which keeps what the run's run.json says")
        folder = find_run(resume, out)
        record = read_run(folder)
        rows = read_cells(folder, record)
        placement = resume_placement(record, launcher, options, jobs)
        winners = find_winners(config, dict.fromkeys(cell.dataset for cell in record.cells))
        by_user = _by_user(flags)
        if data_dir is None and (data_dir := moved_to(record, by_user.get("datasets", ()))):
            del by_user["datasets"]  # they say where the same data are now
        check_settings(record, by_user, winners, is_remote=placement.is_remote)
        check_launch(rank_info, record.cells, placement)
        check_ranks(rank_info, rows)
        cells = unfinished(folder, record, rows)
        check_cells(cells, data_dir, ranks, done=rows, is_remote=placement.is_remote)
        track = _usable(record.track if track is None else track)
    else:
        placement = choose_placement(launcher or "local", options, jobs)
        how = {name: given.pop(flag) for flag, name in OF_THE_RUN.items()}
        how["margins"] = margins_of({flag: given.pop(flag) for flag in MARGINS})
        winners = find_winners(config, given["datasets"])
        if given["threads"] is None:
            sharing = (1 if placement.is_remote else placement.jobs) * (rank_info.local_ranks if rank_info else 1)
            given["threads"] = max(1, available_cores() // sharing)
            if placement.is_remote and not print_config:
                what = f"each cell asks for {given['threads']} CPUs, as many as are here"
                print(f"note: {what}: see --threads", file=sys.stderr)
        given["settings"] = parse_settings(given["settings"])
        cells = share_trainings(
            make_plan(data_dir=data_dir, ranks=ranks, winners=winners, is_remote=placement.is_remote, **given)
        )
        if not print_config:
            check_launch(rank_info, cells, placement)
            track = _usable(track)
        if placement.is_remote:
            placement = replace(placement, jobs=min(placement.jobs, len(cells)))
        command = shlex.join([*command_start(rank_info), *without_out(arguments)])
        how |= {"launcher": placement.launcher, "launcher_options": placement.options, "jobs": placement.jobs}
        record = new_run(out, cells, command, track=track, **how)
        folder = out / record.run_id
    return Run(
        folder=folder,
        record=record,
        cells=cells,
        is_new=resume is None,
        data_dir=data_dir,
        placement=placement,
        track=track,
        forms=forms,
        winners=winners,
    )


def _usable(tracker: str | None) -> str | None:
    """The name of a tracker that can be used, or None where none is asked for."""
    if tracker in (None, "none"):
        return None
    trackers.get(tracker)
    return tracker


def _by_user(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What the user wrote, on the command line or in a file, that decides what a run is."""
    context = click.get_current_context()
    names = {flag.name for flag in file_flags(context.command).values()} - _NOT_FOR_RESUME
    return {
        name: value for name, value in flags.items() if name in names and context.get_parameter_source(name) in _BY_USER
    }
