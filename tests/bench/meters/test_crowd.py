"""When others crowd our threads, and when they no longer do."""

from __future__ import annotations

import pytest

from bench.meters.cpu import CpuTimes
from bench.meters.crowd import CALM_WINDOWS, WINDOW_SECONDS, Crowd, foreign_core_seconds
from bench.runner.racers import Racers

CROWDED, FREE = 0.5, 0.05


def test_it_takes_half_a_second_to_tell_and_three_to_trust_the_calm() -> None:
    crowd = Crowd(threads=2)
    crowd.note(WINDOW_SECONDS / 2, CROWDED * WINDOW_SECONDS / 2, cores=2)
    assert not crowd.crowded  # too short to tell
    crowd.note(WINDOW_SECONDS / 2, CROWDED * WINDOW_SECONDS / 2, cores=2)
    assert crowd.crowded
    for _ in range(CALM_WINDOWS - 1):
        crowd.note(WINDOW_SECONDS, FREE * WINDOW_SECONDS, cores=2)
    crowd.note(WINDOW_SECONDS, CROWDED * WINDOW_SECONDS, cores=2)  # it was only a pause
    for _ in range(CALM_WINDOWS - 1):
        crowd.note(WINDOW_SECONDS, FREE * WINDOW_SECONDS, cores=2)
    assert crowd.crowded
    crowd.note(WINDOW_SECONDS, FREE * WINDOW_SECONDS, cores=2)
    assert not crowd.crowded


@pytest.mark.parametrize(("threads", "foreign", "cores"), [(2, 0.2, 2), (2, 1.0, 4), (1, 1.0, 2)])
def test_where_there_is_room_nobody_is_crowded(threads: int, foreign: float, cores: int) -> None:
    crowd = Crowd(threads)
    crowd.note(WINDOW_SECONDS, foreign * WINDOW_SECONDS, cores)
    assert not crowd.crowded


@pytest.mark.parametrize("threads", [1, 2])
def test_in_a_race_a_single_thread_waits_for_no_other(threads: int) -> None:
    with Racers(threads, data_dir=None) as racers:
        racers._crowd.note(WINDOW_SECONDS, (2.5 - threads) * WINDOW_SECONDS, cores=1)
        assert racers.crowded() == (threads > 1)


def test_what_others_took_is_what_was_busy_or_stolen_and_not_ours() -> None:
    before = CpuTimes(at=0.0, busy=10.0, stolen=1.0, harness=0.0, cell=5.0)
    now = CpuTimes(at=1.0, busy=12.0, stolen=1.25, harness=0.0, cell=6.5)
    assert foreign_core_seconds(before, now) == pytest.approx(0.75)
    assert foreign_core_seconds(before._replace(busy=None), now) is None
