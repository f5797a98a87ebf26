"""Whether other programs need the cores that threads of ours want."""

from __future__ import annotations

from bench.meters.cpu import CpuTimes

WINDOW_SECONDS = 0.5
"""Over which the load is taken."""
CALM_WINDOWS = 6
"""In a row, before the machine is taken to be free again."""
_CROWDED, _FREE = 0.25, 0.1
"""Cores that are wanted beyond those there are: above the first the machine is crowded, below the second it is calm."""


class Crowd:
    """Judges by what others used."""

    crowded = False
    """The judgement so far."""

    def __init__(self, threads: int) -> None:
        """`threads` of ours want a core each."""
        self._threads = threads
        self._seconds = self._foreign = 0.0
        self._calm = 0

    def note(self, seconds: float, foreign_core_seconds: float, cores: int) -> None:
        """Take in what others used for so many seconds, and judge when that is enough to go by."""
        self._seconds += seconds
        self._foreign += foreign_core_seconds
        if self._seconds < WINDOW_SECONDS:
            return
        lacking = self._threads + self._foreign / self._seconds - cores
        self._seconds = self._foreign = 0.0
        self._calm = self._calm + 1 if lacking < _FREE else 0
        if lacking > _CROWDED:
            self.crowded = True
        elif self._calm >= CALM_WINDOWS:
            self.crowded = False


def foreign_core_seconds(before: CpuTimes, now: CpuTimes) -> float | None:
    """What others than this process took of its cores, the hypervisor among them; None if the system does not tell."""
    if now.busy is None or before.busy is None:
        return None
    taken = now.busy - before.busy + (now.stolen or 0.0) - (before.stolen or 0.0)
    return taken - (now.cell - before.cell)
