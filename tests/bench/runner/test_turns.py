"""Turns of two methods: their order, how many there are, and which count beside a neighbour."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

from bench.runner import turns
from bench.runner.turns import MIN_PAIRS, ROUNDS, Pairs
from results.race import MethodRace


@pytest.mark.parametrize(("seconds", "pairs"), [(0, MIN_PAIRS), (30, 30)])
def test_turns_are_a_b_b_a_until_the_time_is_up(seconds: float, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A couple of pairs takes two seconds here."""
    order: list[str] = []
    clock = itertools.count()
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock) * 2.0)  # asked once in a couple

    def ours(steps: int) -> float:
        order.append("A")
        return 0.06

    def theirs(steps: int) -> float:
        order.append("B")
        return 0.05

    pairs_of_a = Pairs("a")
    pairs_of_a.take_round(ours, theirs, lambda: False, reference_step=0.05, seconds=seconds)
    found = pairs_of_a.race()
    assert "".join(order[3:]) == ("ABBA" * pairs)[: 2 * pairs]  # before that, a warm-up
    assert len(found.seconds) == len(found.reference_seconds) == pairs
    assert (found.steps, found.reference_steps) == (2, 2)


def race_beside(neighbour: Iterator[bool], monkeypatch: pytest.MonkeyPatch) -> MethodRace:
    """A race of ten seconds in which a turn takes 0.1 s, and ours twice as long where a neighbour is there.

    Every couple of pairs, A B B A, the neighbour comes, goes or stays.
    """
    clock = itertools.count()
    there = False
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock) * 0.4)  # asked once in a couple

    def crowded() -> bool:
        return there

    def ours(steps: int) -> float:
        return 0.2 if there else 0.1

    def theirs(steps: int) -> float:
        nonlocal there
        if next(done) % 2 == 1:
            there = next(neighbour)
        return 0.1

    done = itertools.count()
    pairs = Pairs("a")
    pairs.take_round(ours, theirs, crowded, reference_step=0.1, seconds=10)
    return pairs.race()


def test_pairs_beside_a_neighbour_that_leaves_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = race_beside(itertools.chain([True] * 15, itertools.repeat(False)), monkeypatch)
    assert not found.beside_others
    assert set(found.seconds) == {0.1}
    assert found.left_out >= 30
    assert len(found.seconds) >= MIN_PAIRS


def test_beside_a_neighbour_that_stays_only_pairs_beside_it_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = race_beside(itertools.chain([False] * 4, itertools.repeat(True)), monkeypatch)
    assert found.beside_others
    assert 0 < found.left_out <= 10
    assert sorted(set(found.seconds))[-1] == 0.2


def test_rounds_share_the_time_and_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A couple of pairs takes a second: twelve seconds, four in each round, whose pairs come one after another."""
    clock = itertools.count()
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock) * 1.0)
    monkeypatch.setattr(turns, "MIN_PAIRS", 6)
    chance = random.Random(0)
    pairs = Pairs("a")
    ends = []
    for number in range(1, ROUNDS + 1):
        pairs.take_round(
            lambda steps: 0.1 * chance.lognormvariate(0, 0.1),
            lambda steps: 0.1,
            lambda: False,
            reference_step=0.1,
            seconds=12,
            is_last=number == ROUNDS,
            share=number / ROUNDS,
        )
        ends.append(len(pairs.race().seconds))
    assert ends[:2] == [8, 16]
    assert ends[2] >= 24
