"""Cells as Slurm jobs, through submitit: a job runs one cell on its node and leaves the row in the run's folder.

A job that ends without a result becomes a row that says so; Slurm never restarts a job. If the launching process is
killed, its jobs go on, and a resumed run takes their results instead of submitting these cells again.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

import psutil

from bench.children.protocol import RESULT, Event, Job, RowBuilder, SentEvent
from bench.errors import UserError, describe
from bench.runner.launchers.base import Launcher, import_extra, parse_options
from bench.runner.launchers.node import Preempted, run_on_node
from methods.core.options import Options
from results.schema import CellResult, LauncherName, name_of
from results.store import read_cells

if TYPE_CHECKING:
    from bench.runner.prepare import Run

_POLL_SECONDS = 0.5
_MORE_MINUTES = 10
"""Of a job beyond `--timeout`: to start, and to write the row."""
_NO_LIMIT_MINUTES = 365 * 24 * 60
"""submitit's local executor wants a limit, and has no queue where it would matter."""
_WARNED_SECONDS = 30
"""How long before its time limit a job is signalled, so that it can still leave a row."""
_LATE_SECONDS = 15
"""After a job's end, during which its result may still appear on a shared disk."""
_SBATCH = ("partition", "account", "qos", "constraint", "gres", "mem")
_SUBMITTED = "_submitted.pkl"
_RESULT = "result"


@dataclass(frozen=True)
class SlurmOptions(Options):
    """What `--launcher-set` accepts with Slurm; the names are sbatch's."""

    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: submitit's local executor, which starts processes on this machine instead of Slurm jobs."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    """Instead of one card for each cell on `cuda`."""
    mem: str | None = None
    """Per job, in Slurm's notation: 8G."""
    time: int | None = None
    """Minutes per job, where `--timeout` does not say it."""

    def __post_init__(self) -> None:
        self.require(self.time is None or self.time >= 1, "time", "at least 1 (minutes)")


class SlurmLauncher(Launcher):
    """Submits each cell to Slurm as one job."""

    name: ClassVar[LauncherName] = "slurm"

    def __init__(self, run: Run) -> None:
        self._options = parse_options(self.name, SlurmOptions, run.placement.options)
        self._minutes = _minutes(self._options, run.record.timeout_seconds)
        self._submitit = import_extra("submitit", self.name)
        self._is_local = self._options.cluster == "local"
        if not self._is_local and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError(
                "--launcher slurm needs Slurm's sbatch and srun, and they are not on the PATH here: start it on a "
                "machine from which jobs are submitted, or try it out with --launcher-set cluster=local"
            )
        self._run = run
        self._folder = run.folder.resolve() / ("slurm-local" if self._is_local else "slurm")
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._left: dict[str, Any] | None = None
        self._ended: dict[str, Any] = {}

    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """Submit the cell as a job and wait for its end."""
        row = RowBuilder(job)
        errors = self._submitit.core.utils
        try:
            submitted = self._submit(job)
        except (OSError, errors.FailedJobError, errors.FailedSubmissionError) as error:
            return row.failed("error", f"the cell could not be sent to Slurm: {describe(error)}")
        if submitted is None:
            return row.failed("killed", "the run was stopped before the cell was sent")
        name = f"{'process' if self._is_local else 'Slurm job'} {submitted.job_id}"
        on_event(SentEvent(where=name))
        while not (ended := self._end_of(submitted)) and not self._stopped.wait(_POLL_SECONDS):
            pass
        if not ended:
            self._cancel(submitted)
            if not submitted.paths.result_pickle.exists():
                _forget(submitted)
            return row.failed("killed", f"{name} was cancelled")
        self._ended[job.cell.model_dump_json()] = submitted
        if ended != _RESULT and not self._comes_late(submitted):
            return row.failed("killed", f"{name} ended without a result (state {ended})", _log(submitted))
        try:
            return RESULT.validate_json(submitted.result())
        except errors.FailedJobError as error:
            return row.failed("error", f"{name} failed before the cell had started", str(error)[-4000:])
        except Exception as error:  # whatever is wrong with a file that another machine has written
            return row.failed("error", f"the result of {name} cannot be read: {describe(error)}")

    def recorded(self, job: Job) -> None:
        """Now the job's files have nothing more to tell than the row."""
        if submitted := self._ended.pop(job.cell.model_dump_json(), None):
            _forget(submitted)

    def cancel_all(self) -> None:
        """Let every thread that waits for a job cancel it."""
        self._stopped.set()

    def _submit(self, job: Job) -> Any:
        """Submit the cell, or take over the job that an earlier launching process submitted; None if stopped."""
        with self._lock:
            if self._stopped.is_set():
                return None
            if self._left is None:
                self._left = self._left_behind()
            return self._left.pop(job.cell.model_dump_json(), None) or self._executor(job).submit(
                run_as_job, job.model_dump_json()
            )

    def _executor(self, job: Job) -> Any:
        """Submitit's executor, asking for what the cell needs."""
        options, config = self._options, job.cell.config
        executor = self._submitit.AutoExecutor(
            self._folder, cluster=options.cluster, slurm_max_num_timeout=0, local_max_num_timeout=0
        )
        executor.update_parameters(
            name=name_of(job.cell),
            nodes=1,
            tasks_per_node=1,
            cpus_per_task=config.threads,
            gpus_per_node=1 if config.device != "cpu" and options.gres is None else None,
            timeout_min=self._minutes,
            slurm_signal_delay_s=_WARNED_SECONDS,
            slurm_additional_parameters={"no_requeue": True},
            **{f"slurm_{name}": getattr(options, name) for name in _SBATCH},
        )
        return executor

    def _left_behind(self) -> dict[str, Any]:
        """Jobs of an earlier launching process that have a result or may still get one, by their cell as JSON.

        A result that is a row already is forgotten: that process was ended before it could do so.
        """
        kind = self._submitit.LocalJob if self._is_local else self._submitit.SlurmJob
        rows = {(*row.key, row.started_at) for row in read_cells(self._run.folder, self._run.record)}
        found = {}
        for file in sorted(self._folder.glob(f"*{_SUBMITTED}")):
            submitted = kind(self._folder, file.name.removesuffix(_SUBMITTED))
            ended = "gone" if self._is_local else _end_of(submitted, at_once=True)
            if submitted.paths.result_pickle.exists() and _result_key(submitted) in rows:
                _forget(submitted)
                continue
            if not ended or submitted.paths.result_pickle.exists():
                found[Job.model_validate_json(submitted.submission().args[0]).cell.model_dump_json()] = submitted
                continue
            if self._is_local:
                self._cancel(submitted)
            _forget(submitted)
        return found

    def _end_of(self, submitted: Any) -> str:
        """See `_end_of`."""
        with self._lock, contextlib.suppress(OSError):  # of a shared disk, say: the next poll looks again
            return _end_of(submitted)  # under the lock, since submitit keeps the states of all jobs together
        return ""

    def _comes_late(self, submitted: Any) -> bool:
        """Whether the result of a job that has ended still appears, as it may on a shared disk."""
        if not self._is_local:
            for _ in range(int(_LATE_SECONDS / _POLL_SECONDS)):
                if self._stopped.wait(_POLL_SECONDS) or self._end_of(submitted) == _RESULT:
                    break
        return bool(submitted.paths.result_pickle.exists())

    def _cancel(self, submitted: Any) -> None:
        if self._is_local:
            _kill_tree(int(submitted.job_id), str(submitted.paths.folder))
        else:
            submitted.cancel(check=False)


def _minutes(options: SlurmOptions, timeout_seconds: float | None) -> int:
    """The time limit of a job.

    Raises:
        UserError: nothing says it.
    """
    if options.time is not None:
        return options.time
    if timeout_seconds is not None:
        return math.ceil(timeout_seconds / 60) + _MORE_MINUTES
    if options.cluster == "local":
        return _NO_LIMIT_MINUTES
    raise UserError(
        "a Slurm job needs a limit of time: give --launcher-set time=MINUTES, or with --timeout SECONDS that of a cell"
    )


def _end_of(submitted: Any, *, at_once: bool = False) -> str:
    """Empty while the job may still leave a result, otherwise `_RESULT` or the state that it ended in.

    submitit counts a preempted job as running, since it may be queued again, and a suspended one as ended.
    """
    has_ended = submitted.done(force_check=at_once)
    if submitted.paths.result_pickle.exists():
        return _RESULT
    state = str(submitted.state).upper()
    if state.startswith("SUSPENDED") or not (has_ended or state.startswith("PREEMPTED")):
        return ""
    return state


def _result_key(submitted: Any) -> tuple[object, ...] | None:
    """What tells the row of a job that has ended from all others; None if its result cannot be read."""
    with contextlib.suppress(Exception):  # whatever is wrong with a file that another machine has written
        row = RESULT.validate_json(submitted.result())
        return (*row.key, row.started_at)
    return None


def _log(submitted: Any) -> str | None:
    """The end of a job's standard error."""
    try:
        text: str = submitted.paths.stderr.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[-4000:] or None


def run_as_job(text: str) -> str:
    """`run_on_node` in a job, which Slurm ends by a signal."""

    def end(number: int, frame: object) -> NoReturn:
        raise Preempted("Slurm told the job to end: its limit of time was near, or another job has precedence")

    signal.signal(signal.SIGUSR2, end)  # in place of submitit's, which leaves a traceback
    return run_on_node(text)


def _forget(submitted: Any) -> None:
    """Let no resumed run take the job's result; its script and logs stay."""
    submitted.paths.submitted_pickle.unlink(missing_ok=True)
    submitted.paths.result_pickle.unlink(missing_ok=True)


def _kill_tree(pid: int, folder: str) -> None:
    """Kill a process of submitit's local executor and all its children, if that is still what the process is."""
    with contextlib.suppress(psutil.Error):  # it has ended by itself
        process = psutil.Process(pid)
        if folder in process.cmdline():
            for each in [*process.children(recursive=True), process]:
                each.kill()
