"""What a card says of itself: a stand-in for the driver here, and the real one where there is a card."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from bench.meters.gpu import find_card, process_bytes, read


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers by function; an exception is raised."""
    answers: dict[str, Any] = {
        "nvmlDeviceGetClockInfo": 1410,
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=12),
        "nvmlDeviceGetPowerUsage": 250_500,
        "nvmlDeviceGetTotalEnergyConsumption": 123_456,
        "nvmlDeviceGetComputeRunningProcesses": [
            SimpleNamespace(pid=1, usedGpuMemory=5),
            SimpleNamespace(pid=7, usedGpuMemory=9),
            SimpleNamespace(pid=8, usedGpuMemory=None),
        ],
    }

    def answer(name: str) -> Any:
        if isinstance(answers[name], Exception):
            raise answers[name]
        return answers[name]

    for name in answers:
        monkeypatch.setattr(pynvml, name, lambda *_, name=name: answer(name))
    return answers


READINGS = ("mhz", "celsius", "busy", "watts", "joules")


def test_units(driver: dict[str, Any]) -> None:
    card = object()
    assert [read(card, what) for what in READINGS] == [1410, 61, 0.87, 250.5, 123.456]
    assert [process_bytes(card, pid) for pid in (7, 8, 2)] == [9, None, None]


def test_what_the_card_does_not_tell(driver: dict[str, Any]) -> None:
    for name in driver:
        driver[name] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert [*(read(object(), what) for what in READINGS), process_bytes(object(), 7)] == [None] * 6


def test_a_cpu_has_no_card(driver: dict[str, Any]) -> None:
    card = find_card(torch.device("cpu"))
    assert card is None
    assert [*(read(card, what) for what in READINGS), process_bytes(card, 7)] == [None] * 6


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="a"))
    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert find_card(torch.device("cuda:0")) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_the_real_card_is_plausible() -> None:
    device = torch.device("cuda:0")
    torch.zeros(1, device=device)
    card = find_card(device)
    assert card is not None
    mhz, celsius, watts = (read(card, what) for what in ("mhz", "celsius", "watts"))
    memory = process_bytes(card, os.getpid())
    assert mhz is None or 100 < mhz < 5_000
    assert celsius is None or 0 < celsius < 120
    assert watts is None or 1 < watts < 2_000
    assert memory is None or memory > 0
