"""GPU memory: nothing to read on a CPU; known allocations where there is a card."""

from __future__ import annotations

import os

import pytest
import torch

from bench.meters.gpu import GpuMemory


def test_a_cpu_has_none() -> None:
    with GpuMemory(os.getpid(), torch.device("cpu")) as memory:
        pass
    assert memory.fields() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_known_allocation_is_the_peak() -> None:
    device = torch.device("cuda:0")
    torch.empty(300 * 2**20, dtype=torch.uint8, device=device)
    with GpuMemory(os.getpid(), device) as memory:
        held = torch.empty(100 * 2**20, dtype=torch.uint8, device=device)
        del held
    found = memory.fields()
    assert found["gpu_peak_allocated_bytes"] == 100 * 2**20
    assert found["gpu_peak_reserved_bytes"] >= 100 * 2**20
