"""Memory on the card: PyTorch's allocator exactly, and NVML's figure for this process, which has the context in it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pynvml
import torch


@dataclass(frozen=True)
class GpuMemory:
    """Peak bytes since `reset_gpu_peak`, and the process's bytes by NVML when read; null where not to be had."""

    allocated_bytes: int | None
    reserved_bytes: int | None
    process_bytes: int | None


def reset_gpu_peak(device: torch.device) -> None:
    """Return cached memory and start the allocator's peaks anew. Does nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def read_gpu_memory(device: torch.device) -> GpuMemory:
    """The peaks of the allocator and NVML's figure; all null on a CPU."""
    if device.type != "cuda":
        return GpuMemory(None, None, None)
    torch.cuda.synchronize(device)
    return GpuMemory(
        torch.cuda.max_memory_allocated(device),
        torch.cuda.max_memory_reserved(device),
        _process_bytes(str(torch.cuda.get_device_properties(device).uuid)),
    )


def _process_bytes(uuid: str) -> int | None:
    """NVML's bytes for this process on the card of that UUID; null where NVML is absent or does not see the process.

    By UUID, not by number: CUDA_VISIBLE_DEVICES renumbers the cards for PyTorch but not for NVML.
    """
    try:
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                if process.pid == os.getpid() and process.usedGpuMemory is not None:
                    return int(process.usedGpuMemory)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        pass
    return None
