"""GPU memory: nothing to read on a CPU; known allocations where there is a card."""

from __future__ import annotations

import os

import pytest
import torch

from bench.meters import gpu
from bench.meters.gpu import GpuMemory


def test_a_cpu_has_none() -> None:
    with GpuMemory(os.getpid(), torch.device("cpu")) as memory:
        pass
    assert memory.fields() == {}


def test_the_figures_of_a_card_reach_their_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *device, name=name: called.append(name))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 2)
    monkeypatch.setattr(gpu, "find_card", lambda device: "card")
    monkeypatch.setattr(gpu, "process_bytes", lambda card, pid: 3 if (card, pid) == ("card", 7) else None)
    with GpuMemory(7, torch.device("cuda:0")) as memory:
        assert called == ["synchronize", "empty_cache", "reset_peak_memory_stats"]
    assert memory.fields() == {
        "gpu_peak_allocated_bytes": 1,
        "gpu_peak_reserved_bytes": 2,
        "gpu_process_bytes": 3,
    }


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
