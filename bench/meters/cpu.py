"""Who kept the processor busy: the kernel's counters for all that ran on our cores, and for single processes."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import psutil

from bench.meters.base import Meter

_TOLERANCE = 0.1
"""Cores by which the kernel's counters may contradict one another; beyond that, they say nothing about the load."""


class CpuTimes(NamedTuple):
    """CPU seconds since some moment in the past. `busy` and `stolen` are None where the system does not tell."""

    at: float
    """Monotonic clock, seconds."""
    busy: float | None
    """All processes, on the cores that this process may use."""
    stolen: float | None
    """Given to other guests by the hypervisor, on the same cores."""
    harness: float
    cell: float


class CpuTime(Meter):
    """Mean numbers of cores that the harness, strangers, and the hypervisor's other guests took during training.

    `start` and `stop` raise `psutil.Error` if the cell's process is gone.
    """

    coarse = ("harness_cores", "foreign_cores", "steal_cores")

    def start(self) -> None:
        self._start = read_cpu_times(psutil.Process(self.pid))

    def stop(self) -> None:
        start, end = self._start, read_cpu_times(psutil.Process(self.pid))
        busy, stolen, harness, cell = (
            None if then is None or now is None else now - then for then, now in zip(start[1:], end[1:], strict=True)
        )
        # A stretch may come out below 0 by a tick of the kernel's clock, so only the sum is cut off there.
        foreign = None if busy is None or harness is None or cell is None else busy - harness - cell
        self.note(seconds=end.at - start.at, harness_cores=harness, foreign_cores=foreign, steal_cores=stolen)

    def fields(self) -> dict[str, Any]:
        seconds = self.total("seconds") or 0.0
        return {"seconds": seconds} | {name: self._cores(name, seconds) for name in self.coarse}

    def _cores(self, name: str, seconds: float) -> float | None:
        """None where it is not known, or where the counters cannot tell."""
        used = self.total(name)
        return None if used is None or used < -_TOLERANCE * seconds else max(0.0, used / seconds)


class CpuClock(Meter):
    """The system's one-minute load average and the processor's clock, sampled."""

    def sample(self) -> None:
        try:
            mhz = psutil.cpu_freq().current or None
        except (AttributeError, OSError, RuntimeError):  # it cannot be read here
            mhz = None
        self.note(load=psutil.getloadavg()[0], mhz=mhz)

    def fields(self) -> dict[str, Any]:
        mhz = {"cpu_mhz": self.mean("mhz"), "cpu_mhz_least": min(self.known("mhz"), default=None)}
        return {"samples": len(self.noted["load"]), "load": self.mean("load"), **mhz}


def read_cpu_times(cell: psutil.Process) -> CpuTimes:
    """The counters now. `harness` is this process.

    Raises:
        psutil.Error: the cell's process is gone.
    """
    harness = psutil.Process()
    ours, theirs = harness.cpu_times(), cell.cpu_times()
    try:
        times: list[Any] = psutil.cpu_times(percpu=True)
        cores = [times[core] for core in harness.cpu_affinity() if core < len(times)]
    except (AttributeError, OSError, psutil.Error):  # no affinity on macOS, no counters in some sandboxes
        cores = []
    # Guests are in `user` already; waiting for a disk and losing the core to another guest are not work.
    work = ("user", "nice", "system", "irq", "softirq")
    return CpuTimes(
        at=time.monotonic(),
        busy=sum(getattr(core, field, 0.0) for core in cores for field in work) if cores else None,
        stolen=sum(getattr(core, "steal", 0.0) for core in cores) if cores else None,
        harness=ours.user + ours.system,
        # Children that have ended are counted with it, since they did the cell's work.
        cell=theirs.user + theirs.system + theirs.children_user + theirs.children_system,
    )
