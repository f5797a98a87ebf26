"""The process of one method in a race: turns on standard input, their seconds on standard output, as lines of JSON."""

from __future__ import annotations

import os
import sys
import time
from itertools import islice
from pathlib import Path

import torch
from pydantic import BaseModel
from torch import Generator

from bench.children.processes import claim_stdout, exit_with_parent
from bench.errors import describe
from bench.training.augment import augmentation
from bench.training.build import MethodBuilder, load_data
from bench.training.crowding import Crowding
from bench.training.loop import batches, draw_order, synchronize
from bench.training.rng import Stream, seed_of
from results.schema import PlannedCell

_BATCHES = 8
"""Held ready, and trained on in turn."""
_SETTLING_SECONDS = 0.03
"""At the start of a turn, before its time counts."""


class RaceTask(BaseModel):
    """The first line on standard input."""

    cell: PlannedCell
    """The cell whose method trains."""
    data_dir: str | None


class Turn(BaseModel):
    """Each line after it."""

    steps: int
    yielding: bool
    """Whether the threads wait without spinning: the same for both methods, so that none gains by it."""


class TurnTime(BaseModel):
    """The reply to a turn."""

    seconds: float = 0.0
    crowded: bool = False
    """Whether other programs need the cores."""
    error: str | None = None
    """What the method raised; nothing follows it."""


class Racer:
    """A method, set up as in its cell, and the first batches of that cell's first epoch."""

    def __init__(self, task: RaceTask, crowding: Crowding) -> None:
        cell, config = task.cell, task.cell.config
        self._device = torch.device(config.device)
        torch.set_num_threads(config.threads)
        data, record = load_data(cell, Path(task.data_dir) if task.data_dir else None)
        self._method = MethodBuilder.on(data, record, cell.method_name, config, cell.seed).make()
        self._method.train()
        order = draw_order(data.train, Generator().manual_seed(seed_of(cell.seed, Stream.ORDER)))
        augmented = augmentation(record.augmentation, cell.seed, self._device)
        changes = None if augmented is None else augmented(len(data.train))
        cut = islice(batches(data.train, config.batch_size, order, changes), _BATCHES)
        self._batches = [(data.images(x), y) for x, y in cut]
        self._settling = torch.ones(1_000_000)  # large enough for all threads
        self._done = 0
        self._crowding = crowding

    def train(self, turn: Turn) -> TurnTime:
        """Train on that many batches.

        A method that goes through its batches in several passes trains on them in each. What it does between passes
        is not in the time, since it does that once in an epoch.
        """
        chosen = [self._batches[(self._done + k) % len(self._batches)] for k in range(turn.steps)]
        self._done += turn.steps
        seconds = 0.0
        self._crowding.let_yield(turn.yielding)
        self._crowding.resume()
        self._settle_in()
        for number in range(self._method.num_passes):
            self._method.start_pass(number)
            synchronize(self._device)
            start = time.perf_counter()
            for x, y in chosen:
                self._method.train_step(x, y)
            synchronize(self._device)
            seconds += time.perf_counter() - start
        self._crowding.pause()
        return TurnTime(seconds=seconds, crowded=self._crowding.crowded)

    def _settle_in(self) -> None:
        """Compute for a moment outside the time: the other process's threads still spin, and this one's must wake.

        That costs a turn as much whatever its length, so it would count most for the method with the shorter turns.
        """
        end = time.perf_counter() + _SETTLING_SECONDS
        while time.perf_counter() < end:
            self._settling.mul_(1.0)


def stay_on_first_cores(threads: int) -> None:
    """Keep this process on as many cores as it has threads, the same ones for every process that does this."""
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main() -> int:
    """Answer until the harness ends this process; 1 if the method raised."""
    replies = claim_stdout()

    def reply(time: TurnTime) -> None:
        replies.write(time.model_dump_json() + "\n")
        replies.flush()

    task = RaceTask.model_validate_json(sys.stdin.readline())
    turns = exit_with_parent()
    threads = task.cell.config.threads
    stay_on_first_cores(threads)
    try:
        with Crowding(threads, acts=False) as crowding:
            racer = Racer(task, crowding)
            while True:
                reply(racer.train(Turn.model_validate_json(turns.get())))
    except Exception as error:
        reply(TurnTime(error=describe(error)))
        return 1


if __name__ == "__main__":
    sys.exit(main())
