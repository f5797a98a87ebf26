"""The commands of all ranks as one: rank 0 says which cell comes next, each rank runs its process of it.

They speak through torchrun's key-value store. A rank whose process fails says so there, and every other rank then ends
its own, which might else wait for that one for ever.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch.distributed import DistError, PrefixStore, Store, rendezvous

from bench.commandline.exit_codes import Terminated
from bench.protocol import Event, Job
from bench.runner.isolation import end_all, run_in_process
from bench.runner.torchrun.launch import Place, find_place
from bench.runner.worker import failed
from results.schema import CellResult

_NO_MORE = "no more"
_LOOK_EVERY_SECONDS = 0.05
"""The store is polled rather than waited on, since a blocking wait would keep signals from being handled."""


@contextmanager
def _stopped_without_torchrun() -> Iterator[None]:
    """Where the store is gone, so is torchrun, and that is a stop: what is finished is kept."""
    try:
        yield
    except DistError:
        raise Terminated from None


class Team:
    """This rank's command among those of the others."""

    def __init__(self, place: Place, store: Store) -> None:
        self._place = place
        self._store = store
        self._cells = 0

    @_stopped_without_torchrun()
    def run(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """On rank 0: run the cell on all ranks.

        Returns:
            One row for all; where a rank's process raised, was killed or sent nothing, a row that says which and why.
        """
        start = time.perf_counter()
        key = self._next_key()
        job = job.model_copy(update={"group": key})
        self._store.set(f"{key}/job", job.model_dump_json())
        self._run_here(key, job, on_event)
        rows = [CellResult.model_validate_json(self._wait(f"{key}/row/{rank}")) for rank in range(self._place.ranks)]
        if self._store.check([f"{key}/failed"]):
            culprit = int(self._store.get(f"{key}/failed"))
            row = rows[culprit]
            error = f"rank {culprit} of {len(rows)}: {row.error}"
            seconds = time.perf_counter() - start
            one_row = failed(job, row.status, error, seconds, row.traceback)
            return one_row.model_copy(update={"world_size": len(rows)})
        return merged(rows, one_machine=self._place.local_ranks == len(rows))

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

    def end(self) -> None:
        """On rank 0: let the others go."""
        with suppress(DistError):
            self._store.set(f"{self._next_key()}/job", _NO_MORE)

    def _run_here(self, key: str, job: Job, on_event: Callable[[Event], None]) -> None:
        """Run this rank's process, ending it when another rank's fails, and make its row known."""
        device = self._place.device(job.cell.config.device)
        config = job.cell.config.model_copy(update={"device": device})
        own = job.model_copy(update={"cell": job.cell.model_copy(update={"config": config})})
        with self._ending_with_the_others(f"{key}/failed"):
            row = run_in_process(own, on_event).model_copy(update={"config": job.cell.config})
        self._store.set(f"{key}/row/{self._place.rank}", row.model_dump_json())
        if row.status != "ok":
            self._store.compare_set(f"{key}/failed", "", str(self._place.rank))  # the first to say so is to blame

    @contextmanager
    def _ending_with_the_others(self, failed_key: str) -> Iterator[None]:
        over = threading.Event()
        store = self._store.clone()  # one connection serves one thread at a time

        def watch() -> None:
            while not over.wait(_LOOK_EVERY_SECONDS):
                try:
                    is_over = store.check([failed_key])
                except DistError:
                    is_over = True
                if is_over:
                    end_all()  # again and again: the process may only be about to start

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
            time.sleep(_LOOK_EVERY_SECONDS)
        return self._store.get(key)


@functools.cache
def team() -> Team:
    """This process's, joined at the first call."""
    place = find_place()
    assert place is not None
    store, _, _ = next(iter(rendezvous("env://")))
    return Team(place, PrefixStore("noprop-bench", store))


@contextmanager
def leading(place: Place | None) -> Iterator[None]:
    """Let the other ranks go in the end, however it comes; without any, nothing."""
    try:
        yield
    finally:
        if place is not None:
            team().end()


def merged(rows: list[CellResult], *, one_machine: bool) -> CellResult:
    """Rank 0's row with what concerns all ranks, from theirs: the neediest rank's memory, and sums of what adds up.

    What the other ranks took of the machine's cores cannot be told from what strangers took, so `foreign_cores` is
    null; so is the energy of the CPU packages where there are several machines, of which rank 0 reads one.
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
