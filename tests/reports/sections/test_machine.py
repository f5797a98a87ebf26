"""Energy, the machine's load and memory over time: shown where there are figures, said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.build import build_report
from reports.statistics.noise import disturbance, is_disturbed
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_cells, make_environment, make_machine, make_run, whole, write_run


def report_of(folder: Path, cells: list[CellResult], **run: object) -> str:
    return whole(build_report(write_run(folder / "run", cells, make_run(cells, **run))))


@pytest.mark.parametrize(
    ("foreign", "steal", "share", "disturbed"),
    [(0.0, 0.0, 0.0, False), (0.4, 0.0, 0.05, False), (0.5, 0.0, 0.0625, True), (0.2, 0.3, 0.0625, True)],
)
def test_a_cell_is_disturbed_by_others_and_by_steal_together(
    foreign: float, steal: float, share: float, disturbed: bool
) -> None:
    cell = make_cell(machine=make_machine(foreign_cores=foreign, steal_cores=steal))  # on 8 cores
    assert disturbance(cell) == pytest.approx(share)
    assert is_disturbed(cell) == disturbed


def test_what_the_system_does_not_tell_is_no_disturbance() -> None:
    assert disturbance(make_cell(machine=make_machine(foreign_cores=None))) is None
    assert not is_disturbed(make_cell(machine=make_machine(foreign_cores=None)))
    assert not is_disturbed(make_cell())


def test_disturbed_cells_are_named_in_the_report(tmp_path: Path) -> None:
    cells = make_cells(machine=make_machine())
    cells[3] = cells[3].model_copy(update={"machine": make_machine(foreign_cores=4.0)})
    report = report_of(tmp_path, cells)
    assert "**Disturbed**: while 1 of 6 cells trained" in report
    assert f"`{cells[3].method}` seed {cells[3].seed} (50%)" in report
    assert "**1 cell disturbed**: other processes" in report.split("## Limitations")[1]


def test_cells_that_shared_the_machine_by_design_are_not_called_disturbed(tmp_path: Path) -> None:
    cells = make_cells(machine=make_machine(foreign_cores=4.0))
    assert "**Disturbed**" not in report_of(tmp_path, cells, jobs=2)


def test_a_quiet_run_has_no_flag_and_says_what_the_harness_took(tmp_path: Path) -> None:
    report = report_of(tmp_path, make_cells(machine=make_machine(harness_cores=0.005)))
    assert "**Disturbed**" not in report
    assert "on average 0.25% of the CPU time" in report  # 0.005 cores beside 2 threads


def test_what_the_harness_took_may_be_unknown(tmp_path: Path) -> None:
    """A cell may end before its processes' times could be read twice."""
    report = report_of(tmp_path, [make_cell(machine=make_machine(harness_cores=None))])
    assert "not known here" in report.split("## The machine while the cells trained")[1]


def test_columns_that_no_cell_has_are_left_out(tmp_path: Path) -> None:
    report = report_of(tmp_path, make_cells(machine=make_machine(cpu_mhz=None, cpu_mhz_least=None)))
    section = report.split("## The machine while the cells trained")[1].split("\n## ")[0]
    assert "MHz" not in section
    assert "other processes, cores" in section


def test_results_from_before_there_was_watching_have_no_such_sections(tmp_path: Path) -> None:
    report = report_of(tmp_path, make_cells())
    assert "## The machine while" not in report
    assert "### Energy" not in report
    assert "memory-over-time" not in report


def test_energy_that_cannot_be_read_is_said_and_not_guessed(tmp_path: Path) -> None:
    report = report_of(tmp_path, make_cells(machine=make_machine()))
    section = report.split("### Energy")[1].split("###")[0]
    assert "CPU energy: not readable here." in section
    assert "|" not in section


def test_energy_by_method(tmp_path: Path) -> None:
    cells = [
        cell.model_copy(update={"cpu_joules": 1000.0 if cell.method == "backprop" else None})
        for cell in make_cells(machine=make_machine())
    ]
    section = report_of(tmp_path, cells).split("### Energy")[1].split("###")[0]
    (backprop,) = (line for line in section.splitlines() if line.startswith("| `backprop`"))
    (noprop,) = (line for line in section.splitlines() if line.startswith("| `noprop`"))
    images = cells[0].images_per_second * cells[0].train_seconds  # type: ignore[operator]
    assert "1,000 ± 0" in backprop
    assert float(backprop.split("|")[4]) == pytest.approx(1e6 / images, rel=0.01)
    assert noprop.count("not readable here") == 2
    assert "RAPL" in section
    assert "NVML" not in section


@pytest.mark.parametrize(("source", "said"), [("counter", "own counter"), ("sampled power", "sampled once a second")])
def test_where_the_cards_energy_comes_from_is_said(tmp_path: Path, source: str, said: str) -> None:
    base = make_cell().config.model_copy(update={"device": "cuda:0"})
    cells = make_cells(
        machine=make_machine(),
        config=base,
        gpu_joules=50.0,
        gpu_joules_source=source,
        environment=make_environment(gpu="A"),
    )
    section = report_of(tmp_path, cells).split("### Energy")[1].split("###")[0]
    assert said in section
    assert "GPU energy, J" in section


def test_memory_over_time_needs_more_than_the_sample_at_the_start(tmp_path: Path) -> None:
    """On a logarithmic axis it would be nowhere, while the caption speaks of it."""
    at_start = (0.0, 500 * MIB)
    cells = make_cells(["backprop"], machine=make_machine(rss_series=[at_start, (3.0, 510 * MIB)]))
    cells += make_cells(["noprop"], machine=make_machine(rss_series=[at_start]))
    report = report_of(tmp_path, cells)
    assert "Largest sample: backprop" in report
    assert "noprop" not in report.split("Largest sample: ")[1].split("]")[0]


def test_memory_over_time_is_drawn_from_the_samples(tmp_path: Path) -> None:
    base = make_cell().baseline_rss_bytes
    assert base is not None
    series = [(0.0, base), (1.5, base + 150 * 2**20), (3.0, base + 20 * 2**20)]
    report = report_of(tmp_path, make_cells(machine=make_machine(rss_series=series)))
    (alt,) = (line for line in report.splitlines() if "memory-over-time" in line)
    assert "backprop 150 MiB" in alt
    assert (tmp_path / "run" / "figures" / "mnist-memory-over-time.png").exists()
