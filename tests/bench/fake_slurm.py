"""Stand-ins for Slurm's commands: a job is a process of this machine that starts at once."""

from __future__ import annotations

import os
from pathlib import Path

COMMANDS = {
    "sbatch": """
cp "$1" {jobs}/$$.sh
echo RUNNING > {jobs}/$$.state
SLURM_JOB_ID=$$ setsid sh -c '
    echo $$ > {jobs}/$SLURM_JOB_ID.pid
    sh "$0"
    echo COMPLETED > {jobs}/$SLURM_JOB_ID.state
' "$1" < /dev/null > /dev/null 2>&1 &
echo "Submitted batch job $$"
""",
    "srun": """
while [ "$1" != --error ]; do shift; done
shift 2
exec "$@"
""",
    "sacct": """
: > {jobs}/looked
echo "JobID|State|NodeList"
for job in {jobs}/*.state; do echo "$(basename "$job" .state)|$(cat "$job")|here"; done
""",
    "scancel": """
kill -s KILL -- -$(cat {jobs}/$1.pid) && echo CANCELLED > {jobs}/$1.state
""",
}


class FakeSlurm:
    """The commands in a folder, and what they were told."""

    def __init__(self, folder: Path) -> None:
        self._jobs, self._commands = folder / "jobs", folder / "bin"
        self._jobs.mkdir(parents=True)
        self._commands.mkdir()
        for name, script in COMMANDS.items():
            (self._commands / name).write_text(f"#!/bin/sh{script.format(jobs=self._jobs)}")
            (self._commands / name).chmod(0o755)
        self.looked = self._jobs / "looked"
        """Is there when somebody has asked for the states of the jobs."""
        self.path = f"{self._commands}{os.pathsep}{os.environ['PATH']}"

    def refuse(self, why: str) -> None:
        """Accept no job."""
        (self._commands / "sbatch").write_text(f"#!/bin/sh\necho '{why}' >&2\nexit 1\n")

    def scripts(self) -> list[str]:
        """What was submitted."""
        return [file.read_text() for file in self._jobs.glob("*.sh")]

    def states(self) -> list[str]:
        """How the jobs have ended, in alphabetical order."""
        return sorted(file.read_text().strip() for file in self._jobs.glob("*.state"))
