"""What the command line says of where cells are run, for a new run and for one that is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.runner.launchers import LAUNCHERS
from results.schema import LauncherName, RunRecord
from results.sharing import jobs_here

MAX_AT_A_TIME = 1024


@dataclass(frozen=True)
class Placement:
    """A launcher, what it was told, and how many cells it is given at a time."""

    launcher: LauncherName = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1

    @property
    def elsewhere(self) -> bool:
        """Whether cells may run on other machines than this."""
        return self.launcher != "local"

    def again(self, record: RunRecord) -> list[str]:
        """What to give a resumed run so that it goes on here again, where the run's record says something else."""
        is_as_recorded = self.launcher == record.launcher
        known = record.launcher_options if is_as_recorded else {}
        flags = [] if is_as_recorded else ["--launcher", self.launcher]
        for name, value in self.options.items():
            if known.get(name) != value:
                flags += ["--launcher-set", f"{name}={value}"]
        if self.elsewhere and self.jobs != (record.jobs if is_as_recorded else MAX_AT_A_TIME):
            flags += ["--jobs", str(self.jobs)]
        return flags


def choose(launcher: LauncherName, options: Mapping[str, str], jobs: int | None) -> Placement:
    """Where a new run's cells are run.

    Args:
        launcher: Its name.
        options: What was given for it.
        jobs: How many cells at a time; None: one here, and all at once elsewhere.

    Raises:
        UserError: options for the launcher that has none.
    """
    if launcher == "local" and options:
        others = " and ".join(LAUNCHERS[1:])
        raise UserError(
            f"--launcher-set {next(iter(options))} is not accepted with --launcher local: only {others} have options"
        )
    return Placement(launcher, options, jobs or (1 if launcher == "local" else MAX_AT_A_TIME))


def go_on(record: RunRecord, launcher: LauncherName | None, options: Mapping[str, str], jobs: int | None) -> Placement:
    """Where the rest of a run's cells are run: as before, unless something else is given.

    The launcher says where a cell is run and not what it computes, so a resumed run may have another. Cells that this
    machine runs side by side share it, so here their number stays what it was.

    Raises:
        UserError: as `choose`; or the run is a calibration, which is of one machine.
    """
    launcher = launcher or record.launcher
    if record.purpose == "calibration" and launcher != "local":
        raise UserError(f"--launcher {launcher} is not accepted with a calibration: it says how steady this machine is")
    is_as_before = launcher == record.launcher
    if launcher == "local":
        return choose(launcher, options, jobs_here(record))
    before = record.launcher_options if is_as_before else {}
    return choose(launcher, {**before, **options}, jobs or (record.jobs if is_as_before else None))
