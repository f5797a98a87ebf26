"""Threads that let others work: while a machine is crowded, they wait for one another without spinning.

OpenMP's threads spin at each barrier until the slowest of them has come. That is fast, unless one of them has lost its
core to another program: then the others burn theirs for nothing, and a step takes many times as long. Whether they spin
is decided when the library loads, but GNU's hardly spins while it has more threads than the process has cores. So,
while other programs need the cores, a helper thread with an idle team of its own is kept, large enough for that.
Nothing else changes: as many threads work as before, on the same numbers. With other OpenMP libraries the helper does
no harm and no good.
"""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import AbstractContextManager
from typing import Self

import psutil
import torch

from bench.meters.cpu import CpuTimes, read_cpu_times
from bench.meters.crowd import WINDOW_SECONDS, Crowd, foreign_core_seconds
from bench.meters.environment import allowed_cores
from methods.networks.compiled import openmp_runtime

_CORES = allowed_cores()
"""As OpenMP counted them when it was loaded: whatever cores the process is kept on later."""
_GRAIN = 2**15
"""Numbers for which PyTorch takes a further thread."""
_MOST = 256
"""Threads of an idle team: where processes may not have as many as there are cores, OpenMP would end this one."""
_NOTICED_SECONDS = 10.0
"""As long as others must have been there before it is worth a sentence."""


class Crowding(AbstractContextManager["Crowding"]):
    """Watches, from a thread of its own, how many cores other processes take from this one's threads.

    It watches from `start` on.
    """

    def __init__(self, threads: int) -> None:
        self._can_yield = threads > 1  # a single thread waits for nobody
        self._crowd = Crowd(threads)
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_watching, daemon=True)
        self._since: CpuTimes | None = None
        self._team: IdleTeam | None = None
        self._crowded_since: float | None = None
        self._crowded = 0.0
        self._said = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._spin()

    def start(self) -> None:
        """From now on the load counts."""
        with self._lock:
            self._since = read_cpu_times(self._process)

    @property
    def yielded_seconds(self) -> float:
        """Seconds for which the threads have yielded."""
        return self._crowded_seconds() if self._can_yield else 0.0

    def news(self) -> str | None:
        """A clause that is worth a warning, once: other programs have crowded the machine for ten seconds."""
        if self._said or self._crowded_seconds() < _NOTICED_SECONDS:
            return None
        self._said = True
        how = " its threads wait without spinning and" if self._can_yield else ""
        return f"other programs need its cores, so{how} it takes longer"

    def note(self, seconds: float, foreign: float, cores: int) -> None:
        """Take in the core seconds that others used in so many seconds, and act when that is enough to go by."""
        self._crowd.note(seconds, foreign, cores)
        if not self._crowd.crowded:
            self._spin()
        elif self._crowded_since is None:
            self._crowded_since = time.monotonic()
            if self._can_yield:
                self._team = IdleTeam()
                self._can_yield = self._team.works

    def _crowded_seconds(self) -> float:
        with self._lock:
            return self._crowded + (time.monotonic() - self._crowded_since if self._crowded_since is not None else 0.0)

    def _spin(self) -> None:
        if self._crowded_since is not None:
            self._crowded += time.monotonic() - self._crowded_since
            self._crowded_since = None
        if self._team is not None:
            self._team.end()
            self._team = None

    def _look(self) -> None:
        if self._since is None:
            return
        now, before = read_cpu_times(self._process), self._since
        self._since = now
        foreign = foreign_core_seconds(before, now)
        if foreign is not None:
            self.note(now.at - before.at, foreign, len(self._process.cpu_affinity()))

    def _keep_watching(self) -> None:
        while not self._over.wait(WINDOW_SECONDS):
            with self._lock:
                self._look()


class IdleTeam:
    """A thread whose OpenMP threads exist and do nothing, until `end`: meanwhile all others' wait without spinning.

    Together with those that work they are one more than the cores.
    """

    def __init__(self) -> None:
        self._size = min(_MOST, max(2, _CORES - torch.get_num_threads() + 2))  # the thread itself is none of OpenMP's
        self.works = False
        self._over, there = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(there,), daemon=True)
        self._thread.start()
        there.wait()

    def _wait(self, there: threading.Event) -> None:
        try:
            torch.get_num_threads()  # PyTorch sets a thread's number of threads when it first asks for it
            if (runtime := openmp_runtime()) is not None:
                ctypes.CDLL(runtime).omp_set_num_threads(self._size)  # of this thread alone
            torch.ones(self._size * _GRAIN, dtype=torch.int8).add_(1)
            self.works = True
        except (OSError, AttributeError, UnicodeError):
            pass  # the runtime's file has gone since, or is another's: threads go on spinning
        finally:
            there.set()  # whatever happens, somebody waits for it
        self._over.wait()

    def end(self) -> None:
        """From now on the others spin again."""
        self._over.set()
        self._thread.join()
