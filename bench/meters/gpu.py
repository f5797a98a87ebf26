"""The graphics card: its memory by PyTorch's allocator and the driver; its clock, load and energy by NVML."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pynvml
import torch

from bench.meters.base import Meter

_READINGS: dict[str, Callable[[Any], float]] = {
    "mhz": lambda card: pynvml.nvmlDeviceGetClockInfo(card, pynvml.NVML_CLOCK_SM),  # of the multiprocessors
    "celsius": lambda card: pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU),
    # The share of the driver's last sampling period in which something ran; NVML gives a percentage.
    "busy": lambda card: pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100,
    "watts": lambda card: pynvml.nvmlDeviceGetPowerUsage(card) / 1000,
    # A counter from some moment in the past on; cards older than Volta have none.
    "joules": lambda card: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1000,
}


class GpuMemory(Meter):
    """Peaks of PyTorch's allocator, and the driver's figure for this process at the end. Nothing on a CPU."""

    def start(self) -> None:
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def stop(self) -> None:
        self._found: dict[str, int | None] = {}
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self._found["gpu_process_bytes"] = process_bytes(find_card(self.device), self.pid)
            self._found["gpu_peak_allocated_bytes"] = torch.cuda.max_memory_allocated(self.device)
            self._found["gpu_peak_reserved_bytes"] = torch.cuda.max_memory_reserved(self.device)

    def fields(self) -> dict[str, Any]:
        return self._found


class GpuActivity(Meter):
    """Clock, temperature and load of the card, sampled; its energy by its own counter, or else its power over time."""

    coarse = ("gpu_joules", "gpu_joules_source")

    def __init__(self, pid: int, device: torch.device) -> None:
        super().__init__(pid, device)
        self._card = find_card(device)

    def start(self) -> None:
        self._joules, self._since = read(self._card, "joules"), time.monotonic()
        self._watts: float | None = None

    def sample(self) -> None:
        self.note(**{what: read(self._card, what) for what in ("mhz", "celsius", "busy")})
        self._add_power()

    def stop(self) -> None:
        joules, before = read(self._card, "joules"), self._joules
        self.note(joules=None if joules is None or before is None else joules - before)
        self._add_power()

    def fields(self) -> dict[str, Any]:
        counted, power = self.total("joules"), self.total("watt_seconds")
        return {
            "gpu_mhz": self.mean("mhz"),
            "gpu_mhz_least": min(self.known("mhz"), default=None),
            "gpu_celsius_most": max(self.known("celsius"), default=None),
            "gpu_busy": self.mean("busy"),
            "gpu_joules": power if counted is None else counted,
            "gpu_joules_source": "counter" if counted is not None else None if power is None else "sampled power",
        }

    def _add_power(self) -> None:
        """Power over time by the trapezoid rule; before a stretch's first sample, the power of that."""
        watts, now = read(self._card, "watts"), time.monotonic()
        before = watts if self._watts is None else self._watts
        self.note(watt_seconds=None if watts is None or before is None else (watts + before) / 2 * (now - self._since))
        self._watts, self._since = watts, now


def find_card(device: torch.device) -> Any:
    """NVML's handle of the card that PyTorch calls `device`; None for a CPU, or where NVML is absent.

    Found by UUID, not by number: CUDA_VISIBLE_DEVICES renumbers the cards for PyTorch but not for NVML.
    """
    if device.type != "cuda":
        return None
    uuid = torch.cuda.get_device_properties(device).uuid
    try:
        pynvml.nvmlInit()  # may be called again and again, and lasts as long as the process
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return None


def read(card: Any, what: str) -> float | None:
    """The value of one of `_READINGS` now; None where the driver does not tell, never a guess."""
    try:
        return None if card is None else float(_READINGS[what](card))
    except pynvml.NVMLError:
        return None


def process_bytes(card: Any, pid: int) -> int | None:
    """Memory that the process has on the card, its CUDA context included; None where the driver does not tell."""
    try:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(card) if card is not None else []
    except pynvml.NVMLError:
        return None
    return next((process.usedGpuMemory for process in processes if process.pid == pid), None)
