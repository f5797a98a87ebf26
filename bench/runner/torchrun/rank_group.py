"""The commands of all ranks as one launcher: rank 0 says which cell comes next, each rank runs its process of it.

They talk through torchrun's key-value store. A rank whose process fails says so there, and every other rank then kills
its own, which otherwise might wait for it for ever.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Self

from torch.distributed import DistError, PrefixStore, Store, rendezvous

from bench.children.processes import kill_all
from bench.children.protocol import RESULT, Event, Job, RowBuilder
from bench.commandline.exit_codes import Terminated
from bench.runner.isolation import run_in_process
from bench.runner.launchers.base import Launcher
from bench.runner.torchrun.rank_info import RankInfo
from results.schema import CellResult, LauncherName

_NO_MORE = "no more"
_POLL_SECONDS = 0.05
"""The store is polled, since a blocking wait would keep signals from being handled."""


@contextmanager
def _stopped_without_torchrun() -> Iterator[None]:
    """A lost store means that torchrun is gone, which is a stop: finished cells are kept."""
    try:
        yield
    except DistError:
        raise Terminated from None


class RankGroup(Launcher):
    """This rank's command among those of the others. On rank 0 it launches cells; on every other, it follows."""

    name: ClassVar[LauncherName] = "local"
    is_remote: ClassVar[bool] = False

    def __init__(self, rank_info: RankInfo) -> None:
        self._info = rank_info
        self._cells = 0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        store, _, _ = next(iter(rendezvous("env://")))
        self._store: Store = PrefixStore("noprop-bench", store)
        return self

    def __exit__(self, *error: object) -> None:
        """On rank 0, let the others go."""
        if self._info.rank == 0:
            with suppress(DistError):
                self._store.set(f"{self._next_key()}/job", _NO_MORE)

    @_stopped_without_torchrun()
    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """On rank 0: run the cell on all ranks.

        Returns:
            One row for all; where a rank's process raised, was killed or sent nothing, a row that says which and why.
        """
        group_row = RowBuilder(job)
        key = self._next_key()
        job = job.model_copy(update={"group": key})
        self._store.set(f"{key}/job", job.model_dump_json())
        self._run_here(key, job, on_event)
        rows = [RESULT.validate_json(self._wait(f"{key}/row/{rank}")) for rank in range(self._info.ranks)]
        if self._store.check([f"{key}/failed"]):
            culprit = int(self._store.get(f"{key}/failed"))
            row = rows[culprit]
            failed = group_row.failed(row.status, f"rank {culprit} of {len(rows)}: {row.error}", row.traceback)
            return failed.model_copy(update={"world_size": len(rows)})
        return merged(rows, one_machine=self._info.local_ranks == len(rows))

    def cancel_all(self) -> None:
        """Wait for no other rank any more; this rank's process is killed with all others of this machine."""
        self._stopped.set()

    @_stopped_without_torchrun()
    def follow(self) -> None:
        """On every other rank: do this rank's part of each cell until rank 0 says that there are no more."""
        while True:
            key = self._next_key()
            text = self._wait(f"{key}/job")
            if text == _NO_MORE.encode():
                return
            job = Job.model_validate_json(text)
            self._run_here(key, job.model_copy(update={"save_in": None}), lambda event: None)

    def _run_here(self, key: str, job: Job, on_event: Callable[[Event], None]) -> None:
        """Run this rank's process, killing it when another rank's fails, and publish its row."""
        device = self._info.device(job.cell.config.device)
        config = job.cell.config.model_copy(update={"device": device})
        own = job.model_copy(update={"cell": job.cell.model_copy(update={"config": config})})
        with self._killed_with_the_others(f"{key}/failed"):
            row = run_in_process(own, on_event).model_copy(update={"config": job.cell.config})
        self._store.set(f"{key}/row/{self._info.rank}", row.model_dump_json())
        if row.status != "ok":
            self._store.compare_set(f"{key}/failed", "", str(self._info.rank))  # the first to say so is to blame

    @contextmanager
    def _killed_with_the_others(self, failed_key: str) -> Iterator[None]:
        over = threading.Event()
        store = self._store.clone()  # one connection serves one thread at a time

        def watch() -> None:
            while not over.wait(_POLL_SECONDS):
                try:
                    is_over = store.check([failed_key])
                except DistError:
                    is_over = True
                if is_over:
                    kill_all()  # again and again: the process may only be about to start

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _next_key(self) -> str:
        self._cells += 1
        return f"cell{self._cells}"

    def _wait(self, key: str) -> bytes:
        while not self._store.check([key]):
            if self._stopped.is_set():
                raise Terminated
            time.sleep(_POLL_SECONDS)
        return self._store.get(key)


def merged(rows: list[CellResult], *, one_machine: bool) -> CellResult:
    """Rank 0's row with what concerns all ranks from theirs: the neediest rank's memory, and sums of what adds up.

    What the other ranks took of the machine's cores cannot be told from what strangers took, so `foreign_cores` is
    null. So is the energy of the CPU packages on several machines, of which rank 0 reads one.
    """
    neediest = max(rows, key=lambda row: row.peak_rss_bytes or 0)
    resident = ("peak_rss_bytes", "baseline_rss_bytes", "rss_rise_bytes", "rss_source")
    largest = ("gpu_peak_allocated_bytes", "gpu_peak_reserved_bytes", "gpu_process_bytes", "optimizer_bytes")
    summed = ("bytes_exchanged_training", "bytes_exchanged_evaluation", "gpu_joules")
    changed: dict[str, Any] = {"world_size": len(rows)}
    changed |= {name: getattr(neediest, name) for name in resident}
    changed |= {name: _of_all(rows, name, max) for name in largest}
    changed |= {name: _of_all(rows, name, sum) for name in summed}
    if len(rows) > 1 and rows[0].machine is not None:
        changed["machine"] = rows[0].machine.model_copy(update={"foreign_cores": None})
    if not one_machine:
        changed["cpu_joules"] = None
    return rows[0].model_copy(update=changed)


def _of_all(rows: list[CellResult], field: str, combine: Callable[[Iterable[Any]], Any]) -> Any:
    """A field over all ranks; None where a rank has none."""
    values = [getattr(row, field) for row in rows]
    return None if None in values else combine(values)
