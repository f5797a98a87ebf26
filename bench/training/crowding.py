"""Threads that let others work: while a machine is crowded, they wait for one another without spinning.

OpenMP's threads spin at each barrier until the slowest of them has come. That is fast, unless one of them has lost its
core to another program: then the others burn theirs for nothing, and a step takes many times as long. Whether they spin
is decided when the library loads, but GNU's hardly spins while there are more threads than cores. So, while other
programs need the cores, a helper thread with an idle team of its own is kept. Nothing else changes: as many threads
work as before, on the same numbers. With other OpenMP libraries the helper does no harm and no good.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from typing import Self

import psutil
import torch

from bench.meters.cpu import CpuTimes, read_cpu_times

_WINDOW_SECONDS = 0.5
"""Over which the load is taken."""
_CROWDED, _FREE = 0.25, 0.1
"""Cores that are wanted beyond those there are: above the first the threads yield, until it stays below the second."""
_CALM_WINDOWS = 6
_NOTICED_SECONDS = 10.0
"""As long as others must have been there before it is worth a sentence."""


class Crowding(AbstractContextManager["Crowding"]):
    """Watches, from a thread of its own, how many cores other processes take from this one's threads.

    It watches from `resume` to `pause`, so that a process which takes turns with another does not see it.
    """

    crowded = False
    """What it has seen."""

    def __init__(self, threads: int, *, acts: bool = True) -> None:
        """With `acts` the threads yield as soon as the machine is crowded; else when `let_yield` says so."""
        self._threads = threads
        self._acts = acts
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_watching, daemon=True)
        self._since: CpuTimes | None = None
        self._seconds = self._foreign = 0.0
        self._team: _IdleTeam | None = None
        self._calm = 0
        self._yielding_since = 0.0
        self._yielded = 0.0
        self._said = False

    def __enter__(self) -> Self:
        if self._threads > 1:  # a single thread waits for nobody
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._spin()

    def resume(self) -> None:
        """From now on the load counts."""
        if self._threads > 1:
            with self._lock:
                self._since = read_cpu_times(self._process)

    def pause(self) -> None:
        """From now on it does not."""
        with self._lock:
            self._look()
            self._since = None

    @property
    def yielded_seconds(self) -> float:
        """Seconds for which the threads have yielded."""
        with self._lock:
            return self._yielded + (time.monotonic() - self._yielding_since if self._team else 0.0)

    def news(self) -> str | None:
        """A clause that is worth a warning, once: other programs have crowded the machine for ten seconds."""
        if self._said or self.yielded_seconds < _NOTICED_SECONDS:
            return None
        self._said = True
        return "other programs need its cores, so its threads wait without spinning and it takes longer"

    def note(self, seconds: float, foreign_core_seconds: float, cores: int) -> None:
        """Take in what others used for so many seconds, and act when that is enough to go by."""
        self._seconds += seconds
        self._foreign += foreign_core_seconds
        if self._seconds < _WINDOW_SECONDS:
            return
        lacking = self._threads + self._foreign / self._seconds - cores
        self._seconds = self._foreign = 0.0
        self._calm = self._calm + 1 if lacking < _FREE else 0
        if lacking > _CROWDED:
            self.crowded = True
        elif self._calm >= _CALM_WINDOWS:
            self.crowded = False
        if self._acts:
            self._change(self.crowded)

    def let_yield(self, yielding: bool) -> None:
        """From now on the threads yield, or spin."""
        with self._lock:
            self._change(yielding)

    def _change(self, yielding: bool) -> None:
        if not yielding:
            self._spin()
        elif self._team is None:
            self._team, self._yielding_since = _IdleTeam(), time.monotonic()

    def _spin(self) -> None:
        if self._team is not None:
            self._yielded += time.monotonic() - self._yielding_since
            self._team.end()
            self._team = None

    def _look(self) -> None:
        if self._since is None:
            return
        now, before = read_cpu_times(self._process), self._since
        self._since = now
        if now.busy is None or before.busy is None:
            return  # the system does not tell
        taken = now.busy - before.busy + (now.stolen or 0.0) - (before.stolen or 0.0)
        self.note(now.at - before.at, taken - (now.cell - before.cell), len(self._process.cpu_affinity()))

    def _keep_watching(self) -> None:
        while not self._over.wait(_WINDOW_SECONDS):
            with self._lock:
                self._look()


class _IdleTeam:
    """A thread whose OpenMP threads exist and do nothing, until `end`."""

    def __init__(self) -> None:
        self._over, there = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(there,), daemon=True)
        self._thread.start()
        there.wait()

    def _wait(self, there: threading.Event) -> None:
        torch.ones(1_000_000).add_(1)  # large enough for all threads
        there.set()
        self._over.wait()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
