"""Where a run's cells run, as the command line says it for a new run and for a resumed one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.runner.launchers import LAUNCHERS
from results.schema import LauncherName, RunRecord
from results.sharing import jobs_here

MAX_JOBS = 1024


@dataclass(frozen=True)
class Placement:
    """A launcher, its options, and how many cells it is given at a time."""

    launcher: LauncherName = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1

    @property
    def is_remote(self) -> bool:
        """Whether cells may run on other machines."""
        return self.launcher != "local"

    @property
    def in_turn(self) -> bool:
        """Whether this machine runs one cell after another."""
        return not self.is_remote and self.jobs == 1

    def resume_flags(self, record: RunRecord) -> list[str]:
        """The flags with which a resumed run goes on here, as far as the run's record says something else."""
        is_as_recorded = self.launcher == record.launcher
        known = record.launcher_options if is_as_recorded else {}
        flags = [] if is_as_recorded else ["--launcher", self.launcher]
        for name, value in self.options.items():
            if known.get(name) != value:
                flags += ["--launcher-set", f"{name}={value}"]
        if self.is_remote and self.jobs != (record.jobs if is_as_recorded else MAX_JOBS):
            flags += ["--jobs", str(self.jobs)]
        return flags


def choose_placement(launcher: LauncherName, options: Mapping[str, str], jobs: int | None) -> Placement:
    """Where a new run's cells run: one at a time here, or all at once elsewhere, where `jobs` is None.

    Raises:
        UserError: options for the launcher that has none.
    """
    if launcher == "local" and options:
        others = " and ".join([*LAUNCHERS][1:])
        raise UserError(
            f"--launcher-set {next(iter(options))} is not accepted with --launcher local: only {others} have options"
        )
    return Placement(launcher, options, jobs or (1 if launcher == "local" else MAX_JOBS))


def resume_placement(
    record: RunRecord, launcher: LauncherName | None, options: Mapping[str, str], jobs: int | None
) -> Placement:
    """Where the rest of a run's cells run: as before, unless something else is given.

    The launcher decides where a cell runs, not what it computes, so a resumed run may have another. Cells that run
    side by side here share the machine, so here their number stays what it was.

    Raises:
        UserError: as `choose_placement`; or the run is a calibration, which is of one machine.
    """
    launcher = launcher or record.launcher
    if record.purpose == "calibration" and launcher != "local":
        raise UserError(f"--launcher {launcher} is not accepted with a calibration: it says how steady this machine is")
    if launcher == "local":
        return choose_placement(launcher, options, jobs_here(record))
    is_as_before = launcher == record.launcher
    before = record.launcher_options if is_as_before else {}
    return choose_placement(launcher, {**before, **options}, jobs or (record.jobs if is_as_before else None))
