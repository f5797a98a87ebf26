"""Cells as Slurm jobs, through submitit: a job runs one cell on its node and leaves the row in the run's folder.

The launching process waits for the jobs and is the only one that writes the run's rows. A job that ends without a
result becomes a row that says so; Slurm itself starts no job twice. If the launching process is killed, its jobs go on,
and a resumed run takes their results rather than sending these cells again.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import psutil

from bench.errors import UserError
from bench.protocol import Event, Job, SentEvent
from bench.runner.launchers.base import Launcher, import_extra, parse_options
from bench.runner.launchers.node import Preempted, run_on_node
from bench.runner.worker import describe, failed
from methods.core.options import Options
from results.schema import CellResult, LauncherName, name_of

_LOOK_EVERY_SECONDS = 0.5
_MORE_MINUTES = 10
"""Of a job beyond `--timeout`: for starting, and for the row to be written."""
_NO_LIMIT_MINUTES = 365 * 24 * 60
"""submitit's local executor wants a limit, and has no queue that it matters to."""
_WARNED_SECONDS = 30
"""How long before its limit of time a job is told, so that it can still leave a row."""
_LATE_SECONDS = 15
"""After its job's end, in which a result may still come to be seen on a shared disk."""
_SUBMITTED = "_submitted.pkl"
_RESULT = "result"


@dataclass(frozen=True)
class SlurmOptions(Options):
    """What `--launcher-set` accepts with Slurm; the names are sbatch's."""

    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: submitit's local executor, which starts processes on this machine in place of Slurm's jobs."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    """In place of one card for each cell on `cuda`."""
    mem: str | None = None
    """Of a job, in Slurm's notation: 8G."""
    time: int | None = None
    """Minutes that a job may take, where `--timeout` does not say it."""

    def __post_init__(self) -> None:
        self.require(self.time is None or self.time >= 1, "time", "at least 1 (minutes)")


class SlurmLauncher(Launcher):
    """Sends cells to Slurm, one job a cell."""

    name: ClassVar[LauncherName] = "slurm"

    def __init__(self, options: Mapping[str, str], timeout_seconds: float | None) -> None:
        self._options = parse_options(self.name, SlurmOptions, options)
        self._minutes = _minutes(self._options, timeout_seconds)
        self._submitit = import_extra("submitit", self.name)
        self._is_local = self._options.cluster == "local"
        if not self._is_local and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError(
                "--launcher slurm needs Slurm's sbatch and srun, and they are not on the PATH here: start it on a "
                "machine from which jobs are submitted, or try it out with --launcher-set cluster=local"
            )
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._left: dict[str, Any] | None = None
        self._ended: dict[str, Any] = {}

    def run(self, job: Job, run: Path, on_event: Callable[[Event], None]) -> CellResult:
        """Send the cell as a job and wait for its end."""
        start = time.perf_counter()

        def lost(status: str, error: str, trace: str | None = None) -> CellResult:
            return failed(job, status, error, time.perf_counter() - start, trace)

        errors = self._submitit.core.utils
        try:
            sent = self._send(job, run)
        except (OSError, errors.FailedJobError, errors.FailedSubmissionError) as error:
            return lost("error", f"the cell could not be sent to Slurm: {describe(error)}")
        if sent is None:
            return lost("killed", "the run was stopped before the cell was sent")
        where = f"{'process' if self._is_local else 'Slurm job'} {sent.job_id}"
        on_event(SentEvent(where=where))
        while not (ended := self._end_of(sent)) and not self._stopped.wait(_LOOK_EVERY_SECONDS):
            pass
        if not ended:
            self._cancel(sent)
            if not sent.paths.result_pickle.exists():
                _forget(sent)
            return lost("killed", f"{where} was cancelled")
        self._ended[job.cell.model_dump_json()] = sent
        if ended != _RESULT and not self._comes_late(sent):
            return lost("killed", f"{where} ended without a result (state {ended})", _log(sent))
        try:
            return CellResult.model_validate_json(sent.result())
        except errors.FailedJobError as error:
            return lost("error", f"{where} failed before the cell had started", str(error)[-4000:])
        except Exception as error:  # whatever is wrong with a file that another machine has written
            return lost("error", f"the result of {where} cannot be read: {describe(error)}")

    def kept(self, job: Job) -> None:
        """The job's files have no more to tell than the row does."""
        if sent := self._ended.pop(job.cell.model_dump_json(), None):
            _forget(sent)

    def end_all(self) -> None:
        """Cancel every job that is waited for."""
        self._stopped.set()

    def _send(self, job: Job, run: Path) -> Any:
        """Submit the cell, or take the job that an earlier launching process has submitted for it; None if stopped."""
        folder = run.resolve() / ("slurm-local" if self._is_local else "slurm")
        with self._lock:
            if self._stopped.is_set():
                return None
            if self._left is None:
                self._left = self._left_behind(folder)
            return self._left.pop(job.cell.model_dump_json(), None) or self._executor(job, folder).submit(
                run_as_job, job.model_dump_json()
            )

    def _executor(self, job: Job, folder: Path) -> Any:
        """What submits the job, with what the cell needs."""
        options, config = self._options, job.cell.config
        executor = self._submitit.AutoExecutor(
            folder, cluster=options.cluster, slurm_max_num_timeout=0, local_max_num_timeout=0
        )
        executor.update_parameters(
            name=name_of(job.cell),
            nodes=1,
            tasks_per_node=1,
            cpus_per_task=config.threads,
            gpus_per_node=1 if config.device != "cpu" and options.gres is None else None,
            timeout_min=self._minutes,
            slurm_partition=options.partition,
            slurm_account=options.account,
            slurm_qos=options.qos,
            slurm_constraint=options.constraint,
            slurm_gres=options.gres,
            slurm_mem=options.mem,
            slurm_signal_delay_s=_WARNED_SECONDS,
            slurm_additional_parameters={"no_requeue": True},
        )
        return executor

    def _left_behind(self, folder: Path) -> dict[str, Any]:
        """Jobs of an earlier launching process that have a result or may still have one, by their cell as JSON."""
        kind = self._submitit.LocalJob if self._is_local else self._submitit.SlurmJob
        found = {}
        for file in sorted(folder.glob(f"*{_SUBMITTED}")):
            sent = kind(folder, file.name.removesuffix(_SUBMITTED))
            ended = "gone" if self._is_local else _end_of(sent, at_once=True)
            if not ended or sent.paths.result_pickle.exists():
                found[Job.model_validate_json(sent.submission().args[0]).cell.model_dump_json()] = sent
            else:
                if self._is_local:
                    self._cancel(sent)
                _forget(sent)
        return found

    def _end_of(self, sent: Any) -> str:
        """See `_end_of`."""
        with self._lock:  # submitit asks for the states of all jobs at once, and keeps them for all
            try:
                return _end_of(sent)
            except OSError:  # of a shared disk, say: it is looked at again
                return ""

    def _comes_late(self, sent: Any) -> bool:
        """Whether a job that has ended shows a result after all, as it may on a shared disk."""
        if not self._is_local:
            for _ in range(int(_LATE_SECONDS / _LOOK_EVERY_SECONDS)):
                if self._stopped.wait(_LOOK_EVERY_SECONDS) or self._end_of(sent) == _RESULT:
                    break
        return bool(sent.paths.result_pickle.exists())

    def _cancel(self, sent: Any) -> None:
        if self._is_local:
            _kill_tree(int(sent.job_id), str(sent.paths.folder))
        else:
            sent.cancel(check=False)


def _minutes(options: SlurmOptions, timeout_seconds: float | None) -> int:
    """How long a job may take.

    Raises:
        UserError: nobody says it.
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


def _end_of(sent: Any, *, at_once: bool = False) -> str:
    """Empty while the job may still leave a result; else `_RESULT`, or the state that it has ended in.

    Submitit itself takes a job that was preempted for one that goes on, as those do that may be queued again, and one
    that is suspended for one that has ended.
    """
    has_ended = sent.done(force_check=at_once)
    if sent.paths.result_pickle.exists():
        return _RESULT
    state = str(sent.state).upper()
    if state.startswith("SUSPENDED") or not (has_ended or state.startswith("PREEMPTED")):
        return ""
    return state


def _log(sent: Any) -> str | None:
    """The end of what a job has written as errors."""
    try:
        text: str = sent.paths.stderr.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[-4000:] or None


def run_as_job(text: str) -> str:
    """`run_on_node` in a job, which Slurm tells to end by a signal."""

    def end(number: int, frame: object) -> NoReturn:
        raise Preempted("Slurm told the job to end: its limit of time was near, or another job has precedence")

    signal.signal(signal.SIGUSR2, end)  # in place of submitit's, which leaves a traceback
    return run_on_node(text)


def _forget(sent: Any) -> None:
    """Remove what would make a resumed run take the job's result; its script and logs stay."""
    sent.paths.submitted_pickle.unlink(missing_ok=True)
    sent.paths.result_pickle.unlink(missing_ok=True)


def _kill_tree(pid: int, folder: str) -> None:
    """Kill a process of submitit's local executor and all its children, if that is still what the process is."""
    try:
        process = psutil.Process(pid)
        if folder not in process.cmdline():
            return
        for each in [*process.children(recursive=True), process]:
            each.kill()
    except psutil.Error:  # it has ended by itself
        return
