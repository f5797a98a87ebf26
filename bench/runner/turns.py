"""Pairs of short turns of two methods, A B B A A B B A ..., and which of them count.

A pair counts while no other program needs the cores. Beside one, threads wait without spinning, which costs methods
that wait often more than others, so pairs of both kinds together would be the ratio of neither. Where a neighbour
stays, the pairs beside it count, and none of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from reports.statistics.race import independent_pairs
from results.race import MethodRace

MIN_PAIRS = 20
SECONDS = 10.0
"""Time for a method's pairs, unless `MIN_PAIRS` take longer."""
_PATIENCE = 3
"""So many times as long is waited for pairs without a neighbour, where there were some."""
_UNNOTICED = 4
"""Pairs beside a neighbour before it is noticed."""
_INDEPENDENT, _ENOUGH_PAIRS = 10, 3 * MIN_PAIRS
"""The race goes on until the pairs say what so many independent ones would, or there are so many."""
_TURN_SECONDS = 0.1
_UNEQUAL = 4.0
"""Times per step further apart than that by a factor: each method has its own number of steps in a turn."""
_WARM_UP_STEPS = 2

Train = Callable[[int], float]
"""Trains for that many steps; returns seconds per step."""


def settle(train: Train) -> float:
    """Warm up for a few steps and then a turn; seconds per step."""
    train(_WARM_UP_STEPS)
    return train(_steps(train(1)))


def time_pairs(
    method: str,
    ours: Train,
    theirs: Train,
    crowded: Callable[[], bool],
    *,
    reference_step: float,
    seconds: float,
) -> MethodRace:
    """Pairs of turns until the time is used up; at least `MIN_PAIRS`, and more where pairs in a row are alike.

    That an interval is narrow already ends nothing: it may be so by chance, and then misses the ratio more often.

    Args:
        method: The label of the method that is timed.
        ours: Its training.
        theirs: The reference's.
        crowded: Whether other programs needed the cores in the last turns.
        reference_step: Seconds per step of the reference.
        seconds: Time for the pairs; `_PATIENCE` times as long where a neighbour comes and goes.
    """
    our_step = settle(ours)
    steps, reference_steps = _steps(our_step), _steps(reference_step)
    if max(our_step, reference_step) < _UNEQUAL * min(our_step, reference_step):
        steps = reference_steps = max(steps, reference_steps)
    quiet: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    number, was_crowded, start = 0, crowded(), time.monotonic()
    while True:
        first = ours(steps), theirs(reference_steps)
        other, mine = theirs(reference_steps), ours(steps)
        number += 2
        is_crowded = crowded()
        if is_crowded and not was_crowded:
            del quiet[-_UNNOTICED:]
        (beside if is_crowded or was_crowded else quiet).extend([first, (mine, other)])
        was_crowded = is_crowded
        counted, limit = quiet, seconds
        if len(quiet) < MIN_PAIRS:
            counted, limit = beside, _PATIENCE * seconds if quiet else seconds
        if time.monotonic() < start + limit or len(counted) < MIN_PAIRS:
            continue
        race = MethodRace(
            method=method,
            steps=steps,
            reference_steps=reference_steps,
            seconds=[pair[0] for pair in counted],
            reference_seconds=[pair[1] for pair in counted],
            beside_others=counted is beside,
            left_out=number - len(counted),
        )
        if len(counted) >= _ENOUGH_PAIRS or independent_pairs(race) >= _INDEPENDENT:
            return race


def _steps(seconds: float) -> int:
    """Steps for a turn of about `_TURN_SECONDS`."""
    return max(1, round(_TURN_SECONDS / seconds))
