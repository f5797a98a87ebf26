"""What a graphics card says of itself through NVML: clock, temperature, load, power and energy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import pynvml
import torch


class NvmlDevice:
    """One card. What it does not tell is None, never a guess."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    @contextlib.contextmanager
    def opened(cls, device: torch.device) -> Iterator[Self | None]:
        """The card that PyTorch calls `device`; None for a CPU, or where NVML is absent.

        Found by UUID, not by number: CUDA_VISIBLE_DEVICES renumbers the cards for PyTorch but not for NVML.
        """
        if device.type != "cuda":
            yield None
            return
        uuid = torch.cuda.get_device_properties(device).uuid
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            yield None
            return
        try:
            try:
                card = cls(pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
            except pynvml.NVMLError:
                card = None
            yield card
        finally:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def process_bytes(self, pid: int) -> int | None:
        """Memory that the process has on the card, its CUDA context included."""
        for process in self._ask(pynvml.nvmlDeviceGetComputeRunningProcesses) or []:
            if process.pid == pid and process.usedGpuMemory is not None:
                return int(process.usedGpuMemory)
        return None

    def mhz(self) -> float | None:
        """Clock of the multiprocessors."""
        return _float(self._ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM))

    def celsius(self) -> float | None:
        """Temperature of the chip."""
        return _float(self._ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU))

    def busy(self) -> float | None:
        """Share of the driver's last sampling period in which something ran on the card, in [0, 1]."""
        rates = self._ask(pynvml.nvmlDeviceGetUtilizationRates)
        return None if rates is None else _float(rates.gpu, 100)

    def watts(self) -> float | None:
        """Power that the card draws now."""
        milliwatts = self._ask(pynvml.nvmlDeviceGetPowerUsage)
        return _float(milliwatts, 1000)

    def joules(self) -> float | None:
        """The card's own energy counter, from some moment in the past on; None on cards older than Volta."""
        millijoules = self._ask(pynvml.nvmlDeviceGetTotalEnergyConsumption)
        return _float(millijoules, 1000)

    def _ask(self, question: Callable[..., Any], *more: Any) -> Any:
        try:
            return question(self._handle, *more)
        except pynvml.NVMLError:
            return None


def _float(value: Any, divisor: float = 1.0) -> float | None:
    return None if value is None else float(value) / divisor
