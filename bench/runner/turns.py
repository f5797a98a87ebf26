"""Pairs of short turns of two methods, A B B A A B B A ..., and which of them count.

Beside another program that needs the cores threads wait without spinning, which costs methods that wait often more than
others, so pairs of both kinds together would be the ratio of neither. Those without a neighbour count, or those beside
one, where more rounds have them; the others are left out.

A method's pairs come in several rounds, each with new processes of both, while other methods are timed in between: a
process has a speed of its own, and a machine that others share is slow for ten seconds and then fast. So rounds differ
by more than their pairs do, and `reports.statistics.race` goes by rounds. The process that was started first, and
whose turn comes first, is the reference's in every second round.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from results.race import MethodRace

SECONDS = 10.0
"""Time for a method's pairs in all rounds, unless `MIN_PAIRS` in each take longer."""
MIN_PAIRS = 4
"""In a round."""
_MIN_ROUNDS = 8
_ROUND_SECONDS = 5.0
"""The longest round. With more time there are more of them, since it is rounds that average out."""
_PATIENCE = 3
"""So many times as long a round waits for pairs without a neighbour, where there were some in an earlier one."""
_UNNOTICED = 4
"""Pairs beside a neighbour before it is noticed."""
_TURN_SECONDS = 0.1
_UNEQUAL = 4.0
"""Times per step further apart than that by a factor: each method has its own number of steps in a turn."""

Train = Callable[[int], float]
"""Trains for that many steps; returns seconds per step."""


class Pair(NamedTuple):
    """Seconds per step of the method and of the reference, in a round."""

    round: int
    ours: float
    theirs: float


def rounds_in(seconds: float) -> int:
    """How many rounds share the time for a method."""
    return max(_MIN_ROUNDS, math.ceil(seconds / _ROUND_SECONDS))


def settle(train: Train) -> float:
    """Warm up for two steps, and for a turn where that is longer; seconds per step."""
    train(1)
    seconds = train(1)
    return train(_steps(seconds)) if _steps(seconds) > 1 else seconds


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
    """Of pairs that were taken."""
    seconds: float = 0.0
    """That they took."""

    def take_round(
        self,
        number: int,
        ours: Train,
        theirs: Train,
        crowded: Callable[[], bool],
        *,
        step_seconds: tuple[float, float],
        seconds: float = SECONDS,
    ) -> None:
        """Take pairs of turns until this round's share of the time is used up, and there are enough of a kind.

        Args:
            number: Of the round, from 1 to `rounds_in(seconds)`. The reference comes first where it is even.
            ours: The method's training, in a new process.
            theirs: The reference's.
            crowded: Whether other programs needed the cores in the last turns.
            step_seconds: A step of the method and one of the reference.
            seconds: Time for the pairs of all rounds.
        """
        if not self.steps:
            self.steps, self.reference_steps = map(_steps, step_seconds)
            if max(step_seconds) < _UNEQUAL * min(step_seconds):
                self.steps = self.reference_steps = max(self.steps, self.reference_steps)

        def take(*order: Train) -> list[float]:
            return [train(self.steps if train is ours else self.reference_steps) for train in order]

        was_quiet, was_crowded, start = bool(self.quiet), crowded(), time.monotonic()
        while True:
            # of the two pairs, that in which our turn came first stands first
            if number % 2 == 1:
                one, two, three, four = take(ours, theirs, theirs, ours)
                pairs = [Pair(number, one, two), Pair(number, four, three)]
            else:
                one, two, three, four = take(theirs, ours, ours, theirs)
                pairs = [Pair(number, three, four), Pair(number, two, one)]
            self.number += len(pairs)
            is_crowded = crowded()
            if is_crowded and not was_crowded:
                self.forget_unnoticed(number)
            (self.beside if is_crowded or was_crowded else self.quiet).extend(pairs)
            was_crowded = is_crowded
            elapsed, share = time.monotonic() - start, seconds / rounds_in(seconds)
            quiet, beside = (sum(pair.round == number for pair in kind) for kind in (self.quiet, self.beside))
            is_patient = was_quiet and elapsed < _PATIENCE * share
            is_over = self.seconds + elapsed >= number * share  # a round that took longer shortens the next
            if is_over and (quiet >= MIN_PAIRS or (beside >= MIN_PAIRS and not is_patient)):
                self.seconds += elapsed
                return

    def forget_unnoticed(self, number: int) -> None:
        """Leave out the last quiet pairs of that round: a neighbour has been noticed, and may have come before them."""
        for _ in range(_UNNOTICED):
            if self.quiet and self.quiet[-1].round == number:
                self.quiet.pop()

    def race(self) -> MethodRace:
        """Its result."""
        quiet, beside = (len({pair.round for pair in kind}) for kind in (self.quiet, self.beside))
        counted = self.quiet if quiet >= beside else self.beside
        in_round = Counter(pair.round for pair in counted)
        return MethodRace(
            method=self.method,
            steps=self.steps,
            reference_steps=self.reference_steps,
            seconds=[pair.ours for pair in counted],
            reference_seconds=[pair.theirs for pair in counted],
            rounds=[in_round[number] for number in range(1, max(in_round) + 1)],
            beside_others=counted is self.beside,
            left_out=self.number - len(counted),
        )


def _steps(seconds: float) -> int:
    """Steps for a turn of about `_TURN_SECONDS`."""
    return max(1, round(_TURN_SECONDS / seconds))
