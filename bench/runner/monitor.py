"""Watch the machine and a cell's process from outside it while it trains: load, clocks, energy, memory over time."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import psutil
import torch

from bench.meters.cpu import CpuTimes, cpu_mhz, load, read_cpu_times
from bench.meters.nvml_device import NvmlDevice
from bench.meters.rapl import RaplEnergy
from bench.protocol import Phase
from results.schema import MachineRecord

_FIRST_INTERVAL = 0.1
_MAX_POINTS = 100
"""Of the series of resident memory, in a result; beyond, every other one is left out."""
_LOOK_EVERY_SECONDS = 1.0
"""Between two looks at clocks, load and temperature."""
_MIN_SECONDS = 1.0
"""Of training, for CPU times and energy: the counters move in ticks of 1 to 100 ms, much of a shorter time."""
_TOLERANCE = 0.1
"""Cores by which the kernel's counters may contradict one another; beyond, they say nothing of the load."""


class Monitor:
    """Follows one cell's process; `enter` is to be called as the cell says what it does.

    CPU times, steal and energy are taken at the ends of each stretch of training, so that the clock of training and
    these cover the same work; clocks, temperature and load are sampled in it, and resident memory from the first
    stretch to the end of the last epoch.
    """

    def __init__(self, pid: int, device: str) -> None:
        self._open = ExitStack()
        self._card = self._open.enter_context(NvmlDevice.opened(torch.device(device)))
        self._packages = RaplEnergy()
        self._sampled: dict[str, list[float]] = defaultdict(list)
        self._sums: dict[str, float] = defaultdict(float)
        self._rss: list[tuple[float, int]] = []
        self._interval = _FIRST_INTERVAL
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._began: float | None = None
        self._stretch: CpuTimes | None = None
        self._power: tuple[float, float] | None = None
        self._unknown: set[str] = set()
        self._card_joules: float | None = None
        self._looks = 0
        self._next_look = 0.0
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.Error:
            self._process = None

    def __enter__(self) -> Monitor:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._open.close()

    def enter(self, phase: Phase) -> None:
        """The cell's next phase has begun."""
        if phase == "probes":
            self._over.set()
        if self._process is None or (phase != "training" and self._stretch is None):
            return
        try:
            times = read_cpu_times(self._process)
        except psutil.Error:
            return
        with self._lock:
            if phase == "training":
                self._stretch = times
                self._packages.update()
                self._card_joules = self._card.joules() if self._card else None
                self._power = None
                if self._began is None:
                    self._began = times.at
                    self._thread.start()
            elif self._stretch is not None:
                self._add(self._stretch, times)
                self._look(time.monotonic())
                self._stretch = None

    def found(self) -> dict[str, Any]:
        """The fields of `CellResult` that come from here; empty if the cell never said that it trains."""
        with self._lock:
            seconds = self._sums["seconds"]
            if not seconds:
                return {}
            mean = {name: statistics.fmean(values) for name, values in self._sampled.items()}
            counter, power = self._energy("card_joules"), self._energy("watt_seconds")
            machine = MachineRecord(
                seconds=seconds,
                samples=self._looks,
                harness_cores=self._cores("harness"),
                foreign_cores=self._cores("foreign"),
                steal_cores=self._cores("stolen"),
                load=mean.get("load"),
                cpu_mhz=mean.get("cpu_mhz"),
                cpu_mhz_least=min(self._sampled["cpu_mhz"], default=None),
                gpu_mhz=mean.get("gpu_mhz"),
                gpu_mhz_least=min(self._sampled["gpu_mhz"], default=None),
                gpu_celsius_most=max(self._sampled["gpu_celsius"], default=None),
                gpu_busy=mean.get("gpu_busy"),
                rss_series=list(self._rss),
            )
            return {
                "machine": machine,
                "cpu_joules": self._energy("package_joules"),
                "gpu_joules": power if counter is None else counter,
                "gpu_joules_source": "counter" if counter is not None else None if power is None else "sampled power",
            }

    def _cores(self, what: str) -> float | None:
        """Mean number of cores; None where not known, or where the counters cannot tell."""
        total, seconds = self._sums.get(what), self._sums["seconds"]
        if total is None or seconds < _MIN_SECONDS or total < -_TOLERANCE * seconds:
            return None
        return max(0.0, total / seconds)

    def _add(self, start: CpuTimes, end: CpuTimes) -> None:
        """Add one stretch of training to the sums."""
        self._sums["seconds"] += end.at - start.at
        harness, cell = end.harness - start.harness, end.cell - start.cell
        self._sums["harness"] += harness
        if start.busy is not None and end.busy is not None:
            # A stretch may come out below 0 by a tick of the kernel's clock, so only the sum is cut off there.
            self._sums["foreign"] += end.busy - start.busy - harness - cell
        if start.stolen is not None and end.stolen is not None:
            self._sums["stolen"] += end.stolen - start.stolen
        if self._card is not None:
            joules = self._card.joules()
            before = self._card_joules
            self._count("card_joules", None if joules is None or before is None else joules - before)

    def _sample(self) -> None:
        """Until the cell ends: resident memory often at first, all else once a second while it trains."""
        assert self._process is not None
        assert self._began is not None
        next_point = 0.0
        while True:
            now = time.monotonic()
            if now >= next_point:
                try:
                    resident = self._process.memory_info().rss
                except psutil.Error:
                    return
            with self._lock:
                if now >= next_point:
                    self._rss.append((round(now - self._began, 3), resident))
                    if len(self._rss) > _MAX_POINTS:
                        self._rss = self._rss[::2]
                        self._interval *= 2
                    next_point = now + self._interval
                if self._stretch is not None and now >= self._next_look:
                    self._look(now)
            if self._over.wait(min(next_point - now, _LOOK_EVERY_SECONDS)):
                return

    def _look(self, now: float) -> None:
        """Look at clocks, load and temperature if it is time to, and take the energy since the last call."""
        self._count("package_joules", self._packages.update())
        if self._card is not None:
            self._add_power(self._card)
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_SECONDS
        self._looks += 1
        values = {"load": load(), "cpu_mhz": cpu_mhz()}
        if self._card is not None:
            values |= {"gpu_mhz": self._card.mhz(), "gpu_celsius": self._card.celsius(), "gpu_busy": self._card.busy()}
        for name, value in values.items():
            if value is not None:
                self._sampled[name].append(value)

    def _add_power(self, card: NvmlDevice) -> None:
        """Power over time by the trapezoid rule; before a stretch's first look, the power of that."""
        watts, now = card.watts(), time.monotonic()
        if self._stretch is None:
            return
        if watts is None:
            self._count("watt_seconds", None)
            return
        since, before = self._power or (self._stretch.at, watts)
        self._count("watt_seconds", (watts + before) / 2 * (now - since))
        self._power = (now, watts)

    def _count(self, what: str, amount: float | None) -> None:
        """Add to a sum; a part that is not known makes the whole unknown, and not smaller."""
        if amount is None:
            self._unknown.add(what)
        else:
            self._sums[what] += amount

    def _energy(self, what: str) -> float | None:
        known = what in self._sums and what not in self._unknown and self._sums["seconds"] >= _MIN_SECONDS
        return self._sums[what] if known else None
