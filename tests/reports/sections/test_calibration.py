"""A/A in reports: of the calibration itself, and as noise in the reports of other runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reports.build import build_report
from reports.view import arrange
from results.calibration import CALIBRATION_FILE, calibrate, find_calibration, pairs_of, write_calibration
from results.schema import CellResult
from results.store import ResultsError
from tests.factories import (
    make_calibration,
    make_cell,
    make_cells,
    make_environment,
    make_machine,
    make_run,
    whole,
    write_run,
)

AGAIN = "backprop (again)"


def aa(factors: list[float], **changes: object) -> list[CellResult]:
    """Pairs in which the second cell took `factor` times as long."""
    cells = []
    for seed, factor in enumerate(factors):
        one = make_cell("backprop", seed=seed, machine=make_machine(), **changes)
        assert one.train_seconds is not None
        other = one.model_copy(update={"method": AGAIN, "train_seconds": one.train_seconds * factor})
        cells += [one, other] if seed % 2 == 0 else [other, one]
    return cells


def test_the_spread_is_the_root_mean_square_of_the_log_ratios() -> None:
    cells = aa([1.02, 0.97, 1.01])
    calibration = calibrate(make_run(cells, purpose="calibration"), cells)
    assert calibration.pairs == 3
    expected = math.sqrt((math.log(1.02) ** 2 + math.log(0.97) ** 2 + math.log(1.01) ** 2) / 3)
    assert calibration.spread["train_seconds"] == pytest.approx(expected)
    assert calibration.spread["peak_rss_bytes"] == 0
    assert "gpu_peak_allocated_bytes" not in calibration.spread


def test_pairs_are_first_over_second_name_whichever_ran_first() -> None:
    cells = aa([1.5, 1.5])
    assert [(one.method, other.method) for one, other in pairs_of(make_run(cells), cells)] == [("backprop", AGAIN)] * 2


def test_a_pair_of_which_half_failed_does_not_count() -> None:
    cells = aa([1.0, 1.0, 1.0])
    assert calibrate(make_run(cells), cells[:-1]).pairs == 2
    with pytest.raises(ResultsError, match="needs 2"):
        calibrate(make_run(cells), cells[:3])


def test_its_own_report_has_the_interval_and_what_later_reports_will_call_noise(tmp_path: Path) -> None:
    cells = aa([1.01, 0.99, 1.02, 0.985])
    report = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, purpose="calibration"))))
    (row,) = (line for line in report.splitlines() if line.startswith("| training time"))
    ratio, interval, contains = (part.strip() for part in row.split("|")[2:5])
    low, high = map(float, interval.split(" to "))
    assert float(ratio) == pytest.approx(math.exp(sum(map(math.log, (1.01, 0.99, 1.02, 0.985))) / 4), abs=1e-4)
    assert low < 1 < high
    assert contains == "yes"
    assert "Test accuracies were the same in both cells of every pair" in report
    assert "Verdict" not in report


def test_a_machine_that_slows_every_second_cell_is_found_out(tmp_path: Path) -> None:
    cells = aa([1.1, 1.11, 1.09, 1.1])
    report = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, purpose="calibration"))))
    (row,) = (line for line in report.splitlines() if line.startswith("| training time"))
    assert row.split("|")[4].strip() == "no"


def test_accuracies_that_differ_are_said(tmp_path: Path) -> None:
    cells = aa([1.0, 1.0])
    cells[1] = cells[1].model_copy(update={"test_accuracy": 0.5})
    report = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, purpose="calibration"))))
    assert "Test accuracies differed in 1 of 2 pairs" in report


def near(spread: float, environment: str = "Example CPU at 2.4 GHz") -> tuple[list[CellResult], object]:
    """A run whose noprop takes 1.01 times as long as backprop, and a calibration with this spread."""
    cells = []
    for cell in make_cells(("backprop",)):
        assert cell.train_seconds is not None
        slower = {"method": "noprop", "method_name": "noprop", "train_seconds": cell.train_seconds * 1.01}
        cells += [cell, cell.model_copy(update=slower)]
    calibration = make_calibration(spread={"train_seconds": spread}, environment=make_environment(cpu=environment))
    return cells, make_run(cells, calibration=calibration)


def test_smaller_differences_are_within_noise_wherever_they_are_printed(tmp_path: Path) -> None:
    cells, record = near(0.05)
    report = whole(build_report(write_run(tmp_path / "run", cells, record)))  # type: ignore[arg-type]
    (ratio,) = (line for line in report.splitlines() if line.startswith("| `noprop`") and "within noise" in line)
    assert "1.01" in ratio
    assert "trained for 1.01 (within noise) times as long" in report


def test_larger_differences_are_not(tmp_path: Path) -> None:
    cells, record = near(0.0001)
    report = whole(build_report(write_run(tmp_path / "run", cells, record)))  # type: ignore[arg-type]
    assert "(within noise)" not in report
    assert "*Within noise*: `backprop` compared with itself" in report


def test_another_machines_calibration_says_nothing(tmp_path: Path) -> None:
    cells, record = near(0.05, environment="Another CPU")
    report = whole(build_report(write_run(tmp_path / "run", cells, record)))  # type: ignore[arg-type]
    assert "ithin noise" not in report


def test_a_watched_run_without_calibration_says_how_to_get_one(tmp_path: Path) -> None:
    cells = make_cells(machine=make_machine())
    report = whole(build_report(write_run(tmp_path / "run", cells)))
    assert "python -m bench.calibrate" in report


def test_the_reference_of_a_calibration_is_its_method_whatever_that_is() -> None:
    cells = [make_cell(method, seed=0) for method in ("noprop", "noprop (again)")]
    view = arrange(make_run(cells, purpose="calibration"), cells)
    assert view.datasets[0].reference == "noprop"


def test_the_latest_calibration_of_this_machine_is_found(tmp_path: Path) -> None:
    here = make_environment()
    made = {
        "old": make_calibration(created_at="2026-01-01T00:00:00Z"),
        "new": make_calibration(created_at="2026-02-01T00:00:00Z"),
        "elsewhere": make_calibration(created_at="2026-03-01T00:00:00Z", environment=make_environment(cpu="other")),
        "more threads": make_calibration(created_at="2026-03-01T00:00:00Z", threads=8),
        "on a card": make_calibration(created_at="2026-03-01T00:00:00Z", device="cuda:0"),
    }
    for name, calibration in made.items():
        (tmp_path / name).mkdir()
        write_calibration(tmp_path / name, calibration)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / CALIBRATION_FILE).write_text("{")
    found, unreadable = find_calibration(tmp_path, here, threads=2, device="cpu")
    assert found == made["new"]
    assert unreadable == [tmp_path / "broken" / CALIBRATION_FILE]
    assert find_calibration(tmp_path, make_environment(torch="9"), threads=2, device="cpu")[0] is None
    assert find_calibration(tmp_path / "absent", here, threads=2, device="cpu") == (None, [])


def test_too_few_pairs_mark_nothing_and_that_is_said(tmp_path: Path) -> None:
    cells, record = near(0.05)
    few = record.model_copy(update={"calibration": make_calibration(pairs=4)})  # type: ignore[attr-defined]
    report = whole(build_report(write_run(tmp_path / "run", cells, few)))
    assert "has 4 pairs; it takes 5 to know what is within noise, so nothing is marked." in report
    assert "(within noise)" not in report
