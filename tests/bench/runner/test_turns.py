"""Turns of two methods: their order, how many there are, and which count beside a neighbour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

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
    assert found.rounds == [len(each) // 2 for each in took] == [MIN_PAIRS] * ROUNDS


def test_of_two_pairs_the_one_in_which_the_method_came_first_stands_first() -> None:
    """The first of a turn is told by the count of turns before it."""
    pairs = Pairs("a")
    count = itertools.count(1)
    for number in (1, 2):
        take_round(pairs, number, lambda steps: next(count), lambda steps: next(count))
    found = pairs.race()
    assert [ours < theirs for ours, theirs in zip(found.seconds, found.reference_seconds, strict=True)] == [
        True,
        False,
    ] * (len(found.seconds) // 2)


@pytest.mark.parametrize(("seconds", "rounds", "pairs"), [(0.0, 8, 4), (40.0, 8, 10), (60.0, 12, 10), (8.0, 8, 4)])
def test_rounds_share_the_time(seconds: float, rounds: int, pairs: int, clock: Callable[[float], None]) -> None:
    """A couple of pairs takes a second, and a round five at most."""
    assert rounds_in(seconds) == rounds
    found = Pairs("a")
    for number in range(1, rounds + 1):
        clock(1.0)
        take_round(found, number, lambda steps: 0.06, lambda steps: 0.05, seconds=seconds)
    assert found.race().rounds == [pairs] * rounds


def race_beside(neighbour: Sequence[bool], clock: Callable[[float], None], seconds: float = 20.0) -> MethodRace:
    """A race in which a turn takes 0.1 s, and ours twice as long where a neighbour is there.

    Every couple of pairs, A B B A, the neighbour comes, goes or stays; its last state stays.
    """
    states = itertools.chain(neighbour, itertools.repeat(neighbour[-1]))
    there, done = False, itertools.count()

    def ours(steps: int) -> float:
        return 0.2 if there else 0.1

    def theirs(steps: int) -> float:
        nonlocal there
        if next(done) % 2 == 1:
            there = next(states)
        return 0.1

    pairs = Pairs("a")
    for number in range(1, ROUNDS + 1):
        clock(0.4)
        take_round(pairs, number, ours, theirs, crowded=lambda: there, seconds=seconds)
    return pairs.race()


def test_pairs_beside_a_neighbour_that_leaves_do_not_count(clock: Callable[[float], None]) -> None:
    found = race_beside([True] * 15 + [False], clock)
    assert not found.beside_others
    assert set(found.seconds) == {0.1}
    assert found.left_out >= 28
    assert sum(found.rounds) == len(found.seconds) >= MIN_PAIRS * ROUNDS / 2


def test_beside_a_neighbour_that_stays_only_pairs_beside_it_count(clock: Callable[[float], None]) -> None:
    found = race_beside([False] * 4 + [True], clock)
    assert found.beside_others
    assert 0 < found.left_out <= 10
    assert sorted(set(found.seconds))[-1] == 0.2
    assert min(found.rounds[2:]) >= MIN_PAIRS


@pytest.mark.parametrize("quiet_rounds", [5, 7])
def test_a_neighbour_that_comes_late_takes_none_of_the_quiet_rounds(
    quiet_rounds: int, clock: Callable[[float], None]
) -> None:
    """Two couples in each round, and the neighbour comes with the next one."""
    found = race_beside([False] * (2 * quiet_rounds) + [True], clock, seconds=0.0)
    assert not found.beside_others
    assert found.rounds == [MIN_PAIRS] * quiet_rounds
    assert set(found.seconds) == {0.1}


def test_what_came_right_before_a_neighbour_was_noticed_is_left_out_of_that_round_alone() -> None:
    pairs = Pairs("a")
    pairs.quiet = [turns.Pair(number, 0.1, 0.1) for number in (1, 1, 2, 2)]
    pairs.forget_unnoticed(2)
    assert [pair.round for pair in pairs.quiet] == [1, 1]
