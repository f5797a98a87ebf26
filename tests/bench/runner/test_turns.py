"""Turns of two methods: their order, how many there are, and which count beside a neighbour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from bench.runner import turns
from bench.runner.turns import MIN_PAIRS, Pairs, rounds_in
from results.race import MethodRace

ROUNDS = rounds_in(0)


def take_round(
    pairs: Pairs,
    number: int,
    ours: turns.Train,
    theirs: turns.Train,
    *,
    crowded: Callable[[], bool] = lambda: False,
    seconds: float = 0.0,
) -> None:
    pairs.take_round(number, ours, theirs, crowded, step_seconds=(0.06, 0.05), seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets a couple of pairs take that many seconds, for the time is asked for once in a couple."""

    def tick(seconds: float) -> None:
        count = itertools.count()
        monkeypatch.setattr(turns.time, "monotonic", lambda: next(count) * seconds)

    return tick


def test_turns_are_a_b_b_a_and_the_reference_begins_in_every_second_round() -> None:
    order: list[str] = []
    pairs = Pairs("a")
    took = []
    for number in range(1, ROUNDS + 1):
        take_round(pairs, number, lambda steps: order.append("A") or 0.06, lambda steps: order.append("B") or 0.05)
        took.append("".join(order))
        order.clear()
    assert [{each[k : k + 4] for k in range(0, len(each), 4)} for each in took] == [{"ABBA"}, {"BAAB"}] * 4
    found = pairs.race()
    assert (found.steps, found.reference_steps) == (2, 2)
    assert set(zip(found.seconds, found.reference_seconds, strict=True)) == {(0.06, 0.05)}
    assert found.rounds == [len(each) // 2 for each in took]
    assert MIN_PAIRS <= sum(found.rounds) <= MIN_PAIRS + 2


@pytest.mark.parametrize(("seconds", "rounds", "pairs"), [(0.0, 8, 20), (32.0, 8, 32), (60.0, 12, 60)])
def test_rounds_share_the_time_and_the_pairs(
    seconds: float, rounds: int, pairs: int, clock: Callable[[float], None]
) -> None:
    """A couple of pairs takes two seconds, and a round five at most."""
    assert rounds_in(seconds) == rounds
    found = Pairs("a")
    for number in range(1, rounds + 1):
        clock(2.0)
        take_round(found, number, lambda steps: 0.06, lambda steps: 0.05, seconds=seconds)
    counted = found.race().rounds
    assert len(counted) == rounds
    assert pairs <= sum(counted) <= pairs + 2
    assert max(counted) - min(counted) <= 2


def race_beside(neighbour: Iterator[bool], clock: Callable[[float], None]) -> MethodRace:
    """A race of twenty seconds in which a turn takes 0.1 s, and ours twice as long where a neighbour is there.

    Every couple of pairs, A B B A, the neighbour comes, goes or stays.
    """
    there = False

    def ours(steps: int) -> float:
        return 0.2 if there else 0.1

    def theirs(steps: int) -> float:
        nonlocal there
        if next(done) % 2 == 1:
            there = next(neighbour)
        return 0.1

    done = itertools.count()
    pairs = Pairs("a")
    for number in range(1, ROUNDS + 1):
        clock(0.4)
        take_round(pairs, number, ours, theirs, crowded=lambda: there, seconds=20.0)
    return pairs.race()


def test_pairs_beside_a_neighbour_that_leaves_do_not_count(clock: Callable[[float], None]) -> None:
    found = race_beside(itertools.chain([True] * 15, itertools.repeat(False)), clock)
    assert not found.beside_others
    assert set(found.seconds) == {0.1}
    assert found.left_out >= 30
    assert sum(found.rounds) == len(found.seconds) >= MIN_PAIRS


def test_beside_a_neighbour_that_stays_only_pairs_beside_it_count(clock: Callable[[float], None]) -> None:
    found = race_beside(itertools.chain([False] * 4, itertools.repeat(True)), clock)
    assert found.beside_others
    assert 0 < found.left_out <= 10
    assert sorted(set(found.seconds))[-1] == 0.2
