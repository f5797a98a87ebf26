"""Energy of CPU packages against counters of our own making, laid out as Linux does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.meters.rapl import RaplEnergy


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


def test_packages_are_added_up_and_their_parts_are_not(powercap: Path) -> None:
    energy = RaplEnergy(powercap)
    count(powercap, "intel-rapl:0", 3_500_000)
    count(powercap, "intel-rapl:1", 9_250_000)
    count(powercap, "intel-rapl:0:0", 900_000)
    count(powercap, "intel-rapl:2", 9_000_000)
    assert energy.update() == pytest.approx(2.75)
    assert energy.update() == 0


def test_a_counter_that_starts_again(powercap: Path) -> None:
    energy = RaplEnergy(powercap)
    count(powercap, "intel-rapl:1", 500_000)
    assert energy.update() == pytest.approx(1.5)


@pytest.mark.parametrize("damage", ["gone", "no number", "no range"])
def test_what_cannot_be_read_is_nothing_rather_than_a_guess(powercap: Path, damage: str) -> None:
    energy = RaplEnergy(powercap)
    if damage == "gone":
        (powercap / "intel-rapl:1" / "energy_uj").unlink()
    elif damage == "no number":
        (powercap / "intel-rapl:1" / "energy_uj").write_text("busy")
    else:
        (powercap / "intel-rapl:1" / "max_energy_range_uj").unlink()
    assert energy.update() is None


def test_a_machine_without(tmp_path: Path) -> None:
    assert RaplEnergy(tmp_path / "absent").update() is None
