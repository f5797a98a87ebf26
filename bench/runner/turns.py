"""Pairs of short turns of two methods, A B B A A B B A ..., and which of them count.

A pair counts while no other program needs the cores. Beside one, threads wait without spinning, which costs methods
that wait often more than others, so pairs of both kinds together would be the ratio of neither. Where a neighbour
stays, the pairs beside it count, and none of the others.

A method's pairs come in several rounds, each with a process of its own, while other methods are timed in between: a
machine that others share is slow for ten seconds and then fast, for one method more than for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reports.statistics.race import independent_pairs
from results.race import MethodRace

MIN_PAIRS = 20
SECONDS = 10.0
"""Time for a method's pairs, unless `MIN_PAIRS` take longer."""
ROUNDS = 3
_PATIENCE = 3
"""So many times as long is waited for pairs without a neighbour, where there were some."""
_UNNOTICED = 4
"""Pairs beside a neighbour before it is noticed."""
_INDEPENDENT, _ENOUGH_PAIRS = 10, 3 * MIN_PAIRS
"""The last round goes on until the pairs say what so many independent ones would, or there are so many."""
_TURN_SECONDS = 0.1
_UNEQUAL = 4.0
"""Times per step further apart than that by a factor: each method has its own number of steps in a turn."""
_WARM_UP_STEPS = 2

Train = Callable[[int], float]
"""Trains for that many steps; returns seconds per step."""
Pair = tuple[float, float]
"""Seconds per step of the method and of the reference."""


def settle(train: Train) -> float:
    """Warm up for a few steps and then a turn; seconds per step."""
    train(_WARM_UP_STEPS)
    return train(_steps(train(1)))


@dataclass
class Pairs:
    """What was timed of a method so far."""

    method: str
    """Its label."""
    steps: int = 0
    """In each of its turns; 0 before the first round."""
    reference_steps: int = 0
    quiet: list[Pair] = field(default_factory=list)
    beside: list[Pair] = field(default_factory=list)
    """Those beside a neighbour."""
    number: int = 0
    seconds: float = 0.0
    """That they took."""

    def take_round(
        self,
        ours: Train,
        theirs: Train,
        crowded: Callable[[], bool],
        *,
        reference_step: float,
        seconds: float,
        is_last: bool = True,
        share: float = 1.0,
    ) -> None:
        """Take pairs of turns until this round's share of the time, and of `MIN_PAIRS`, is used up.

        That an interval is narrow already ends nothing: it may be so by chance, and then misses the ratio more often.

        Args:
            ours: The method's training, in a new process.
            theirs: The reference's.
            crowded: Whether other programs needed the cores in the last turns.
            reference_step: Seconds per step of the reference.
            seconds: Time for the pairs of all rounds; `_PATIENCE` times as long where a neighbour comes and goes.
            is_last: Whether more pairs are taken here where those in a row are alike.
            share: Of the time and the pairs, with this round.
        """
        our_step = settle(ours)
        if not self.steps:
            self.steps, self.reference_steps = _steps(our_step), _steps(reference_step)
            if max(our_step, reference_step) < _UNEQUAL * min(our_step, reference_step):
                self.steps = self.reference_steps = max(self.steps, self.reference_steps)
        was_crowded, start = crowded(), time.monotonic() - self.seconds
        while True:
            first = ours(self.steps), theirs(self.reference_steps)
            other, mine = theirs(self.reference_steps), ours(self.steps)
            self.number += 2
            is_crowded = crowded()
            if is_crowded and not was_crowded:
                del self.quiet[-_UNNOTICED:]
            (self.beside if is_crowded or was_crowded else self.quiet).extend([first, (mine, other)])
            was_crowded = is_crowded
            self.seconds = time.monotonic() - start
            if self._is_enough(share, seconds, is_last):
                return

    def race(self) -> MethodRace:
        """Its result: quiet pairs, if there are enough of them."""
        counted = self._counted()
        return MethodRace(
            method=self.method,
            steps=self.steps,
            reference_steps=self.reference_steps,
            seconds=[pair[0] for pair in counted],
            reference_seconds=[pair[1] for pair in counted],
            beside_others=counted is self.beside,
            left_out=self.number - len(counted),
        )

    def _counted(self, share: float = 1.0) -> list[Pair]:
        return self.quiet if len(self.quiet) >= share * MIN_PAIRS else self.beside

    def _is_enough(self, share: float, seconds: float, is_last: bool) -> bool:
        counted = self._counted(share)
        patience = _PATIENCE if counted is self.beside and self.quiet else 1
        if len(counted) < share * MIN_PAIRS or self.seconds < share * seconds * patience:
            return False
        return not is_last or len(counted) >= _ENOUGH_PAIRS or independent_pairs(self.race()) >= _INDEPENDENT


def _steps(seconds: float) -> int:
    """Steps for a turn of about `_TURN_SECONDS`."""
    return max(1, round(_TURN_SECONDS / seconds))
