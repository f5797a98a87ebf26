"""The process of a method in a race: which cores it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.training.racer import stay_on_first_cores

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process to cores")


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Those of this process, which has them back afterwards."""
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


def test_every_process_with_one_thread_stays_on_the_same_core(cores: list[int]) -> None:
    stay_on_first_cores(1)
    assert os.sched_getaffinity(0) == {cores[0]}


def test_with_as_many_threads_as_cores_all_are_used(cores: list[int]) -> None:
    stay_on_first_cores(len(cores))
    assert os.sched_getaffinity(0) == set(cores)
