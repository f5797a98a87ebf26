"""Who kept the processor busy: counters of the kernel for all that ran on our cores, and for single processes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psutil


@dataclass(frozen=True)
class CpuTimes:
    """CPU seconds since some moment in the past. `busy` and `stolen` are null where the system does not tell."""

    at: float
    """Monotonic clock, seconds."""
    busy: float | None
    """All processes, on the cores that this process may use."""
    stolen: float | None
    """Given to other guests by the hypervisor, on the same cores."""
    harness: float
    cell: float


def read_cpu_times(cell: psutil.Process) -> CpuTimes:
    """The counters now. `harness` is this process.

    Raises:
        psutil.Error: the cell's process is gone.
    """
    ours = _harness().cpu_times()
    theirs = cell.cpu_times()
    cores = _cores()
    return CpuTimes(
        at=time.monotonic(),
        busy=sum(_busy(core) for core in cores) if cores else None,
        stolen=sum(getattr(core, "steal", 0.0) for core in cores) if cores else None,
        harness=ours.user + ours.system,
        # Children that have ended are counted with it, since they were the cell's work.
        cell=theirs.user + theirs.system + theirs.children_user + theirs.children_system,
    )


def cpu_mhz() -> float | None:
    """Mean clock of the cores now; None where not readable."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, RuntimeError):
        return None
    return float(frequency.current) if frequency is not None and frequency.current else None


def load() -> float | None:
    """The one-minute load average; None where the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


@lru_cache(maxsize=1)
def _harness() -> psutil.Process:
    return psutil.Process()


def _cores() -> list[Any]:
    try:
        times = psutil.cpu_times(percpu=True)
        usable = _harness().cpu_affinity()
    except (AttributeError, OSError, psutil.Error):  # no affinity on macOS, no counters in some sandboxes
        return []
    return [times[core] for core in usable if core < len(times)]


def _busy(core: Any) -> float:
    """Guests are in `user` already; waiting for a disk and being robbed of the core are not work."""
    return float(sum(getattr(core, field, 0.0) for field in ("user", "nice", "system", "irq", "softirq")))
