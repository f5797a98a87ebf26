"""`python -m bench.campaign`: the runs behind the project's answer, one after another, each of which can be resumed.

A run is a file in `runs/`, a configuration of `bench.run`; the campaign goes through them by name.

Exit codes: 0 success; 1 a cell failed; 2 something given cannot be used; 130 stopped by Ctrl-C: go on with the same
command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.commandline import flags
from bench.commandline.exit_codes import exits
from bench.commandline.flags import what, where
from bench.commandline.help import Command
from bench.commandline.params import Whole

DEFAULT_OUT = Path("results/campaign")


@click.command(cls=Command)
@click.argument("chosen", metavar="[RUN]...", nargs=-1)
@what("--estimate", is_flag=True, help="Only say how long each run takes and what memory it needs.")
@flags.data_dir
@flags.device
@flags.threads
@flags.amp
@where("--jobs", type=Whole(1, 1024), default=1, help="Cells to run at once.")
@flags.out(DEFAULT_OUT, "Parent folder for the campaign's runs.")
def cli(chosen: tuple[str, ...], estimate: bool, out: Path, **how: Any) -> int:
    """Make the runs behind the project's answer, or go on with them.

    Without RUN all of them, in order. Hours and memory of each are estimated first, from a few steps of its methods.
    """
    from bench.campaign.carry_out import carry_out, names
    from bench.errors import UserError

    if unknown := [name for name in chosen if name not in names()]:
        raise UserError(f"unknown run {unknown[0]!r}: the campaign's runs are {', '.join(names())}")
    failed = [name for name in chosen or names() if carry_out(name, out / name, how, estimate_only=estimate) != 0]
    return 1 if failed else 0


main = exits(cli, "python -m bench.campaign", runs_cells=True)
