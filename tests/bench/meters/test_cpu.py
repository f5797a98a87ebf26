"""CPU times against processes that are known to work or to sleep."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest
import torch

from bench.meters.cpu import CpuClock, read_cpu_times

WORK = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


def test_a_cell_that_works_is_told_from_others_that_do() -> None:
    with subprocess.Popen([sys.executable, "-c", WORK.format(seconds=60)]) as cell:
        try:
            process = psutil.Process(cell.pid)
            before = read_cpu_times(process)
            other = subprocess.run([sys.executable, "-c", WORK.format(seconds=0.5)], check=True)
            after = read_cpu_times(process)
        finally:
            cell.kill()
    assert other.returncode == 0
    used = after.cell - before.cell
    assert 0 < used <= (after.at - before.at) * 1.2
    assert after.harness - before.harness < 0.3
    if before.busy is None or after.busy is None:
        pytest.skip("this system does not tell what its cores did")
    foreign = after.busy - before.busy - used - (after.harness - before.harness)
    assert foreign > 0.4  # the other process's half second, and whatever else runs here


def test_the_harness_counts_itself() -> None:
    process = psutil.Process()
    before, end = read_cpu_times(process), time.process_time() + 0.3
    while time.process_time() < end:
        pass
    assert read_cpu_times(process).harness - before.harness == pytest.approx(0.3, abs=0.1)


def test_children_that_have_ended_are_the_cells_work() -> None:
    before = read_cpu_times(psutil.Process())
    subprocess.run([sys.executable, "-c", WORK.format(seconds=0.3)], check=True)
    assert read_cpu_times(psutil.Process()).cell - before.cell > 0.25


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        process = psutil.Process(gone.pid)
        gone.wait()
    with pytest.raises(psutil.Error):
        read_cpu_times(process)


def test_clock_and_load_are_plausible_or_absent() -> None:
    meter = CpuClock(0, torch.device("cpu"))
    meter.sample()
    found = meter.fields()
    assert found["samples"] == 1
    assert found["cpu_mhz"] is None or 100 < found["cpu_mhz_least"] <= found["cpu_mhz"] < 10_000
    assert found["load"] is None or found["load"] >= 0
