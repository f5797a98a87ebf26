"""Memory on the card: PyTorch's allocator exactly, and NVML's figure for this process, which has the context in it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from bench.meters.nvml_device import NvmlDevice


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
    with NvmlDevice.opened(device) as card:
        process_bytes = card.process_bytes(os.getpid()) if card else None
    return GpuMemory(torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device), process_bytes)
