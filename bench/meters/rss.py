"""Resident memory of this process: now, and its peak since a moment of our choosing."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_HIGH_WATER_MARK = "5"  # proc(5): resets VmHWM to the current resident size


def current_rss() -> int:
    """Resident bytes of this process now."""
    return int(psutil.Process().memory_info().rss)


def reset_peak() -> bool:
    """Set the kernel's high-water mark of this process to its present size.

    Returns:
        Whether the kernel allowed it. If not, `peak_rss` reaches back to the start of the process.
    """
    try:
        _CLEAR_REFS.write_text(_RESET_HIGH_WATER_MARK)
    except OSError:
        return False
    return True


def peak_rss() -> int:
    """The kernel's high-water mark of resident bytes: exact, not sampled."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def release_freed_memory() -> None:
    """Give freed heap memory back to the system, so that what came before does not pad the baseline."""
    gc.collect()
    # Where the C library is not glibc, freed memory stays, and a rise over the baseline may come out smaller.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
