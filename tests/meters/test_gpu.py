"""GPU memory: nothing to read on a CPU; known allocations where there is a card."""

from __future__ import annotations

import pytest
import torch

from bench.meters.gpu import GpuMemory, read_gpu_memory, reset_gpu_peak


def test_a_cpu_has_none() -> None:
    device = torch.device("cpu")
    reset_gpu_peak(device)
    assert read_gpu_memory(device) == GpuMemory(None, None, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_known_allocation_is_the_peak() -> None:
    device = torch.device("cuda:0")
    torch.empty(300 * 2**20, dtype=torch.uint8, device=device)
    reset_gpu_peak(device)
    held = torch.empty(100 * 2**20, dtype=torch.uint8, device=device)
    del held
    memory = read_gpu_memory(device)
    assert memory.allocated_bytes == 100 * 2**20
    assert memory.reserved_bytes is not None
    assert memory.reserved_bytes >= 100 * 2**20
