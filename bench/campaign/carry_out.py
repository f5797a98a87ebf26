"""One run of the campaign: new, or what is left of it, with an estimate first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import run
from bench.campaign.estimate import estimate
from bench.runner.execute import execute
from bench.runner.prepare import prepare
from results.store import RUN_FILE

RUNS = Path(__file__).parent / "runs"
"""A configuration of `bench.run` in each file."""


def names() -> list[str]:
    """The campaign's runs, in the order in which they are made."""
    return sorted(file.stem for file in RUNS.glob("*.toml"))


def carry_out(name: str, parent: Path, how: Mapping[str, Any], *, estimate_only: bool) -> int:
    """Make a run in a folder of its own below `parent`, or go on with the one that is there.

    Args:
        name: Of the run's file, without suffix.
        parent: Where its folder is or will be.
        how: Values of flags of `bench.run`: where, and in which precision, it runs.
        estimate_only: Whether to stop after the estimate.

    Returns:
        `bench.run`'s exit code.

    Raises:
        UserError, ResultsError: something given cannot be used, or differs from what the run was begun with.
    """
    begun = sorted(parent.glob(f"*/{RUN_FILE}"))
    arguments = ["--resume", str(begun[-1].parent)] if begun else ["--config", _relative(RUNS / f"{name}.toml")]
    arguments += ["--out", str(parent), *_flags(how, resumed=bool(begun))]
    with run.cli.make_context("python -m bench.run", arguments) as context:
        given = {key: value for key, value in context.params.items() if key != "list_all"}
        planned = prepare(arguments, given)
        print(
            f"{name}: {estimate(planned.cells, planned.data_dir, planned.placement.jobs)}", file=sys.stderr, flush=True
        )
        return 0 if estimate_only else execute(planned)


def _relative(file: Path) -> str:
    """The path as a person in the checkout would type it, since the run's record has it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def _flags(how: Mapping[str, Any], *, resumed: bool) -> list[str]:
    """As typed after `bench.run`; a resumed run keeps what it was begun with."""
    words: list[str] = []
    for name, value in how.items():
        if resumed and name not in ("data_dir", "jobs"):
            continue
        flag = "--" + name.replace("_", "-")
        words += ([flag] if value else []) if isinstance(value, bool) else [] if value is None else [flag, str(value)]
    return words
