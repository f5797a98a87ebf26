"""Resident memory of a cell's process: its exact peak, told by itself, and its course over time, seen from outside."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bench.meters.base import Meter

_MAX_POINTS = 100
"""Of the series of resident memory in a result; beyond that, every other one is left out."""


class PeakRss(Meter):
    """The kernel's high-water mark of this process, exact rather than sampled, and its rise over the size at `start`.

    The kernel may forbid setting the mark to the present size; the peak then goes back to the start of the process.
    """

    def start(self) -> None:
        gc.collect()  # what came before must not pad the baseline
        # Where the C library is not glibc, freed memory stays, and a rise over the baseline may come out smaller.
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
            self._source = "high-water mark, reset"
        except OSError:
            self._source = "high-water mark of the process's life"
        self._baseline = current_rss()

    def stop(self) -> None:
        self._peak = peak_rss()

    def fields(self) -> dict[str, Any]:
        rise = max(0, self._peak - self._baseline)
        found = {"peak_rss_bytes": self._peak, "baseline_rss_bytes": self._baseline, "rss_rise_bytes": rise}
        return {**found, "rss_source": self._source}


class RssSeries(Meter):
    """Resident bytes over time, evaluation included: often at first, half as often each time points become too many.

    `sample` raises `psutil.Error` if the cell's process is gone.
    """

    always = True
    interval = 0.1
    _began: float | None = None
    _points: tuple[tuple[float, int], ...] = ()

    def start(self) -> None:
        self._began = self._began or time.monotonic()

    def sample(self) -> None:
        assert self._began is not None
        resident = psutil.Process(self.pid).memory_info().rss
        self._points += ((round(time.monotonic() - self._began, 3), resident),)
        if len(self._points) > _MAX_POINTS:
            self._points, self.interval = self._points[::2], 2 * self.interval

    def fields(self) -> dict[str, Any]:
        return {"rss_series": self._points}


def current_rss() -> int:
    """Resident bytes of this process now."""
    return int(psutil.Process().memory_info().rss)


def peak_rss() -> int:
    """The kernel's high-water mark of this process's resident bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
