"""Watching a process from outside: what it did is told from what others did, and when it trained."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.meters import cpu, gpu, rapl, rss
from bench.meters.cpu import CpuTimes
from bench.runner import monitor as watching
from bench.runner.monitor import Monitor

GROW = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    held = bytearray(b"x") * (int(line) * 2**20)
    print("held", flush=True)
"""


@contextlib.contextmanager
def process(script: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


class Clock:
    """Stands in for the kernel's counters: what happens is said, not waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = CpuTimes(at=100.0, busy=50.0, stolen=3.0, harness=1.0, cell=10.0)
        monkeypatch.setattr(cpu, "read_cpu_times", lambda process: self.times)

    def goes_on(self, seconds: float, *, cell: float, harness: float, other: float | None, stolen: float = 0.0) -> None:
        now = self.times
        self.times = CpuTimes(
            at=now.at + seconds,
            busy=None if now.busy is None or other is None else now.busy + cell + harness + other,
            stolen=None if now.stolen is None else now.stolen + stolen,
            harness=now.harness + harness,
            cell=now.cell + cell,
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_means_are_over_the_stretches_of_training_alone(clock: Clock) -> None:
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        for other in (1.0, 3.0):
            watch.enter("training")
            clock.goes_on(10, cell=19, harness=0.05, other=other, stolen=0.5)
            watch.enter("evaluation")
            clock.goes_on(5, cell=1, harness=4, other=9, stolen=5)
        watch.enter("probes")
        found = watch.found()
    machine = found["machine"]
    assert machine.seconds == pytest.approx(20)
    assert machine.foreign_cores == pytest.approx(0.2)
    assert machine.harness_cores == pytest.approx(0.005)
    assert machine.steal_cores == pytest.approx(0.05)
    assert machine.samples >= 1


def test_a_tick_too_few_is_no_negative_load(clock: Clock) -> None:
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        watch.enter("training")
        clock.goes_on(1, cell=1, harness=0, other=-0.01)
        watch.enter("evaluation")
        assert watch.found()["machine"].foreign_cores == 0


def test_counters_that_the_system_does_not_give_are_null(clock: Clock) -> None:
    clock.times = CpuTimes(at=1.0, busy=None, stolen=None, harness=0.0, cell=0.0)
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        watch.enter("training")
        clock.goes_on(1, cell=1, harness=0, other=0)
        watch.enter("evaluation")
        machine = watch.found()["machine"]
    assert (machine.foreign_cores, machine.steal_cores, machine.gpu_mhz) == (None, None, None)


def test_a_cell_that_never_trained_has_no_record() -> None:
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        watch.enter("evaluation")
        watch.enter("probes")
        assert watch.found() == {}


def test_a_process_that_is_gone_stops_nothing() -> None:
    with process("") as cell:
        cell.wait()
        with Monitor(cell.pid, "cpu") as watch:
            for phase in ("training", "evaluation", "probes"):
                watch.enter(phase)  # type: ignore[arg-type]
            assert watch.found() == {}


def test_memory_over_time_is_the_cells_and_ends_with_its_last_epoch() -> None:
    with process(GROW) as cell, Monitor(cell.pid, "cpu") as watch:
        assert cell.stdin is not None
        assert cell.stdout is not None
        cell.stdout.readline()  # The interpreter has started, so that its own memory is not counted as grown.
        watch.enter("training")
        time.sleep(0.25)
        cell.stdin.write("64\n")
        cell.stdout.readline()
        time.sleep(0.4)
        watch.enter("evaluation")
        watch.enter("probes")
        time.sleep(0.2)
        cell.stdin.write("200\n")
        cell.stdout.readline()
        time.sleep(0.4)
        series = watch.found()["machine"].rss_series
    times, resident = zip(*series, strict=True)
    assert list(times) == sorted(times)
    assert max(resident) - resident[0] == pytest.approx(64 * 2**20, rel=0.1)


def test_a_long_series_is_thinned_not_cut(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rss.RssSeries, "interval", 0.002)
    monkeypatch.setattr(rss, "_MAX_POINTS", 20)
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        watch.enter("training")
        time.sleep(0.6)
        clock.goes_on(1, cell=1, harness=0, other=0)
        watch.enter("evaluation")
        series = watch.found()["machine"].rss_series
    assert 8 <= len(series) <= 21
    assert max(after[0] - before[0] for before, after in itertools.pairwise(series)) > 0.004


class FakeCard:
    """A card of 100 W that has counted 500 J before."""

    def __init__(self, *, counts: bool) -> None:
        self.counts, self.counted = counts, 500.0

    def joules(self) -> float | None:
        return self.counted if self.counts else None

    def watts(self) -> float:
        return 100.0

    def mhz(self) -> float:
        return 1400.0

    def celsius(self) -> float:
        return 60.0

    def busy(self) -> float:
        return 0.5


@pytest.mark.parametrize("counts", [True, False])
def test_the_cards_energy_is_its_counters_or_its_power_over_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, counts: bool
) -> None:
    monkeypatch.setattr(watching, "_MIN_SECONDS", 0.1)
    card = FakeCard(counts=counts)
    monkeypatch.setattr(gpu, "find_card", lambda device: card)
    monkeypatch.setattr(gpu, "read", lambda card, what: getattr(card, what)())
    with process("input()") as cell, Monitor(cell.pid, "cuda:0") as watch:
        began = time.monotonic()
        clock.times = CpuTimes(at=began, busy=None, stolen=None, harness=0.0, cell=0.0)
        watch.enter("training")
        time.sleep(0.3)
        took = time.monotonic() - began
        card.counted += 70
        clock.goes_on(took, cell=0.1, harness=0, other=None)
        watch.enter("evaluation")
        card.counted += 1000  # what evaluation takes is not training's
        found = watch.found()
    assert found["gpu_joules_source"] == ("counter" if counts else "sampled power")
    assert found["gpu_joules"] == pytest.approx(70 if counts else 100 * took, rel=0.05)
    assert found["machine"].gpu_celsius_most == 60
    assert found["machine"].gpu_busy == 0.5


def test_energy_of_the_packages_is_training_alone(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    domain = tmp_path / "intel-rapl:0"
    domain.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "0", "max_energy_range_uj": "1000000000"}.items():
        (domain / name).write_text(text)

    def count(microjoules: int) -> None:
        written = domain / "written"
        written.write_text(str(microjoules))
        written.replace(domain / "energy_uj")  # whoever reads it meanwhile finds a number

    monkeypatch.setattr(rapl.RaplEnergy, "root", tmp_path)
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        for counted in (5_000_000, 90_000_000):  # 5 J from outside training, then 2 J of training, then again
            count(counted)
            watch.enter("training")
            clock.goes_on(1, cell=1, harness=0, other=0)
            count(counted + 2_000_000)
            watch.enter("evaluation")
        assert watch.found()["cpu_joules"] == pytest.approx(4)


def test_watching_leaves_no_thread_behind() -> None:
    before = psutil.Process().num_threads()
    for _ in range(3):
        with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
            watch.enter("training")
            time.sleep(0.05)
    assert psutil.Process().num_threads() <= before


def test_training_too_short_for_the_kernels_ticks_has_no_cpu_times(clock: Clock) -> None:
    with process("input()") as cell, Monitor(cell.pid, "cpu") as watch:
        watch.enter("training")
        clock.goes_on(0.5, cell=0.5, harness=0.01, other=0.01)
        watch.enter("evaluation")
        machine = watch.found()["machine"]
    assert (machine.foreign_cores, machine.steal_cores, machine.harness_cores) == (None, None, None)
    assert machine.seconds == pytest.approx(0.5)
