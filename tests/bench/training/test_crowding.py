"""Threads that yield: when they do, that it helps beside a neighbour, and that it changes no number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import torch

from bench.meters.crowd import CALM_WINDOWS, WINDOW_SECONDS
from bench.training import crowding
from bench.training.crowding import Crowding, IdleTeam

CROWDED = 0.5


def test_threads_yield_while_others_need_their_cores() -> None:
    with Crowding(threads=2) as watched:  # before `start` only this test says what others use
        watched.note(WINDOW_SECONDS, CROWDED * WINDOW_SECONDS, cores=2)
        assert watched._team is not None
        for _ in range(CALM_WINDOWS):
            watched.note(WINDOW_SECONDS, 0.0, cores=2)
        assert watched._team is None
        assert watched.yielded_seconds > 0


def test_a_crowd_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "_NOTICED_SECONDS", 0.0)
    with Crowding(threads=2) as watched:
        watched.note(WINDOW_SECONDS, CROWDED, cores=2)
        assert watched.news() is not None
        assert watched.news() is None


def settled(process: psutil.Process) -> int:
    """Its threads, once those that earlier tests left have ended."""
    counts = [-1, process.num_threads()]
    while counts[-1] != counts[-2]:
        time.sleep(0.3)
        counts.append(process.num_threads())
    return counts[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is Linux's")
@pytest.mark.parametrize("cores", [2, 6, 40])
def test_idle_and_working_threads_are_more_than_the_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "_CORES", cores)
    working, process = torch.get_num_threads(), psutil.Process()
    torch.ones(2_000_000).add_(1)
    before = settled(process)
    team = IdleTeam()
    idle = process.num_threads() - before - 1  # one is Python's
    assert torch.get_num_threads() == working
    team.end()
    assert working + idle > cores


@pytest.mark.parametrize("error", [OSError("no such file"), AttributeError("omp_set_num_threads")])
def test_where_the_runtime_cannot_be_asked_nobody_waits_for_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> str:
        raise error

    monkeypatch.setattr(crowding, "openmp_runtime", fails)
    monkeypatch.setattr(crowding, "_NOTICED_SECONDS", 0.0)
    with Crowding(threads=2) as watched:
        watched.note(WINDOW_SECONDS, CROWDED, cores=2)
        assert watched.news() == "other programs need its cores, so it takes longer"
        assert watched.yielded_seconds == 0.0


def test_a_single_thread_that_has_to_share_its_core_says_so_and_has_none_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowding, "_NOTICED_SECONDS", 0.0)
    with Crowding(threads=1) as watched:
        watched.note(WINDOW_SECONDS, CROWDED, cores=1)
        assert watched.news() == "other programs need its cores, so it takes longer"
        assert watched._team is None
        assert watched.yielded_seconds == 0.0


ON_ONE_CORE = """
import json, os, statistics, time
import torch
from bench.training.crowding import Crowding

torch.set_num_threads(2)
def steps(count):
    torch.manual_seed(0)
    net = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(10)))
    x, seconds = torch.randn(512, 64), []
    for _ in range(count):
        start = time.perf_counter()
        net(x).square().sum().backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), net[0].weight.grad.tolist()
steps(3)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # now two threads have one core
for thread in os.listdir("/proc/self/task"):
    os.sched_setaffinity(int(thread), os.sched_getaffinity(0))
spinning, numbers = steps(3)
with Crowding(2) as crowding:
    crowding.start()
    time.sleep(1.2)
    yielding, same = steps(3)
    yielded = crowding.yielded_seconds
print(json.dumps([spinning, yielding, yielded, numbers == same]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters and GNU's OpenMP are Linux's")
def test_on_fewer_cores_than_threads_a_step_is_many_times_faster_and_gives_the_same_numbers() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    ended = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE], capture_output=True, text=True, env=environment, check=True
    )
    spinning, yielding, yielded, same = json.loads(ended.stdout)
    assert yielded > 0
    assert yielding < spinning / 2
    assert same
