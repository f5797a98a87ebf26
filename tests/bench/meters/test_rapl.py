"""Energy of CPU packages against counters of our own making, laid out as Linux does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.meters.rapl import RaplEnergy


def started(root: Path, monkeypatch: pytest.MonkeyPatch) -> RaplEnergy:
    """A meter of these counters, in its first stretch."""
    monkeypatch.setattr(RaplEnergy, "root", root)
    meter = RaplEnergy(0, torch.device("cpu"))
    meter.start()
    return meter


def stopped(meter: RaplEnergy) -> float | None:
    meter.stop()
    return meter.fields()["cpu_joules"]


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    for name, what, start in (
        ("intel-rapl:0", "package-0", 1_000_000),
        ("intel-rapl:0:0", "core", 400_000),
        ("intel-rapl:1", "package-1", 9_000_000),
        ("intel-rapl:2", "psys", 5_000_000),
    ):
        domain = tmp_path / name
        domain.mkdir()
        (domain / "name").write_text(f"{what}\n")
        (domain / "energy_uj").write_text(f"{start}\n")
        (domain / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def count(powercap: Path, domain: str, microjoules: int) -> None:
    (powercap / domain / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_are_added_up_and_their_parts_are_not(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = started(powercap, monkeypatch)
    count(powercap, "intel-rapl:0", 3_500_000)
    count(powercap, "intel-rapl:1", 9_250_000)
    count(powercap, "intel-rapl:0:0", 900_000)
    count(powercap, "intel-rapl:2", 9_000_000)
    energy.sample()
    assert energy.fields()["cpu_joules"] == pytest.approx(2.75)
    assert stopped(energy) == pytest.approx(2.75)


def test_several_stretches_are_added_up_without_what_is_between(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = started(powercap, monkeypatch)
    count(powercap, "intel-rapl:0", 2_000_000)
    energy.stop()
    count(powercap, "intel-rapl:0", 7_000_000)
    energy.start()
    count(powercap, "intel-rapl:0", 7_500_000)
    assert stopped(energy) == pytest.approx(1.5)


def test_a_counter_that_starts_again(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = started(powercap, monkeypatch)
    count(powercap, "intel-rapl:1", 500_000)
    assert stopped(energy) == pytest.approx(1.5)


@pytest.mark.parametrize("damage", ["gone", "no number", "no range"])
def test_what_cannot_be_read_is_nothing_rather_than_a_guess(
    powercap: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    energy = started(powercap, monkeypatch)
    if damage == "gone":
        (powercap / "intel-rapl:1" / "energy_uj").unlink()
    elif damage == "no number":
        (powercap / "intel-rapl:1" / "energy_uj").write_text("busy")
    else:
        (powercap / "intel-rapl:1" / "max_energy_range_uj").unlink()
    assert stopped(energy) is None


def test_a_machine_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped(started(tmp_path / "absent", monkeypatch)) is None
