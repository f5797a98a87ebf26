"""The processes of methods in a race: turns on standard input, their seconds on standard output, as lines of JSON.

To import what a method needs and to read its data takes seconds, and a race wants many new processes. So one process
does that, starts no threads, and forks for each method that is to be timed: the copy sets the method up and answers.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TextIO

import psutil
import torch
from pydantic import BaseModel
from torch import Generator

import methods
from bench.children.processes import claim_stdout, exit_with_parent
from bench.datasets import Splits
from bench.errors import describe
from bench.meters.cpu import read_cpu_times
from bench.meters.crowd import foreign_core_seconds
from bench.training.augment import augmentation
from bench.training.build import MethodBuilder, load_splits, place_data
from bench.training.crowding import IdleTeam
from bench.training.loop import batches, draw_order, synchronize
from bench.training.rng import Stream, seed_of
from results.schema import PlannedCell

_BATCHES = 8
"""Held ready, and trained on in turn."""
_SETTLING_SECONDS = 0.03
"""At the start of a turn, before its time counts."""


class RaceTask(BaseModel):
    """A line on standard input; then come its turns, and an empty line."""

    cell: PlannedCell
    """The cell whose method trains."""
    data_dir: str | None

    @property
    def data_folder(self) -> Path | None:
        """The user's, if any."""
        return Path(self.data_dir) if self.data_dir else None


class Turn(BaseModel):
    """A line after it."""

    steps: int
    yielding: bool
    """Whether the threads wait without spinning: the same for both methods, so that none gains by it."""


class TurnTime(BaseModel):
    """The reply to a turn."""

    seconds: float = 0.0
    """Of the steps."""
    watched_seconds: float = 0.0
    """Of the whole turn, in which others were watched."""
    foreign_core_seconds: float = 0.0
    """What others used in them, of so many cores."""
    cores: int = 1
    error: str | None = None
    """What the method raised; nothing follows it."""
    is_over: bool = False
    """The process of the task has ended, and there can be another: no reply to a turn."""


class Racer:
    """A method, set up as in its cell, and the first batches of that cell's first epoch."""

    def __init__(self, task: RaceTask, splits: Splits) -> None:
        cell, config = task.cell, task.cell.config
        self._device = torch.device(config.device)
        torch.set_num_threads(config.threads)
        data, record = place_data(cell, task.data_folder, splits)
        self._method = MethodBuilder.on(data, record, cell.method_name, config, cell.seed).make()
        self._method.train()
        order = draw_order(data.train, Generator().manual_seed(seed_of(cell.seed, Stream.ORDER)))
        augmented = augmentation(record.augmentation, cell.seed, self._device)
        changes = None if augmented is None else augmented(len(data.train))
        cut = islice(batches(data.train, config.batch_size, order, changes), _BATCHES)
        self._batches = [(data.images(x), y) for x, y in cut]
        self._settling = torch.ones(1_000_000)  # large enough for all threads
        self._done = 0
        self._process = psutil.Process()
        self._team: IdleTeam | None = None

    def train(self, turn: Turn) -> TurnTime:
        """Train on that many batches.

        A method that goes through its batches in several passes trains on them in each. What it does between passes
        is not in the time, since it does that once in an epoch.
        """
        chosen = [self._batches[(self._done + k) % len(self._batches)] for k in range(turn.steps)]
        self._done += turn.steps
        seconds = 0.0
        self._let_yield(turn.yielding)
        before = read_cpu_times(self._process)
        self._settle_in()
        for number in range(self._method.num_passes):
            self._method.start_pass(number)
            synchronize(self._device)
            start = time.perf_counter()
            for x, y in chosen:
                self._method.train_step(x, y)
            synchronize(self._device)
            seconds += time.perf_counter() - start
        now = read_cpu_times(self._process)
        foreign = foreign_core_seconds(before, now)
        if foreign is None:
            return TurnTime(seconds=seconds)
        cores = len(self._process.cpu_affinity())
        return TurnTime(seconds=seconds, watched_seconds=now.at - before.at, foreign_core_seconds=foreign, cores=cores)

    def _let_yield(self, yielding: bool) -> None:
        if yielding and self._team is None:
            self._team = IdleTeam()
        elif not yielding and self._team is not None:
            self._team.end()
            self._team = None

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
    """Fork for each task until the harness ends this process; the exit code of a copy that failed.

    All tasks are of one data set and one configuration of data.
    """
    replies = claim_stdout()
    torch.set_num_threads(1)  # a library that has threads does not survive a fork
    splits: Splits | None = None
    with open(0, "rb", buffering=0, closefd=False) as tasks:  # reads no further than the task: turns are for the copy
        while line := tasks.readline():
            try:
                task = RaceTask.model_validate_json(line)
                splits = splits or load_splits(task.cell, task.data_folder)
                methods.get(task.cell.method_name)
            except Exception as error:
                _reply(replies, TurnTime(error=describe(error)))
                return 1
            if not _can_fork():
                return _race(task, splits, replies)
            copy = os.fork()
            if copy == 0:
                code = _race(task, splits, replies)
                for worker in psutil.Process().children(recursive=True):
                    worker.kill()
                os._exit(code)
            ended = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
            if ended < 0:
                os.kill(os.getpid(), -ended)
            if ended != 0:
                return ended
            _reply(replies, TurnTime(is_over=True))
    return 0


def _can_fork() -> bool:
    """Whether this process's libraries survive that: none has threads or a GPU in use, as a plug-in's may."""
    if sys.platform == "darwin" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    return psutil.Process().num_threads() == 1


def _race(task: RaceTask, splits: Splits, replies: TextIO) -> int:
    """Answer to a task's turns, until an empty line; 1 if the method raised."""
    turns = exit_with_parent()
    stay_on_first_cores(task.cell.config.threads)
    try:
        racer = Racer(task, splits)
        while (turn := turns.get()) != "\n":
            _reply(replies, racer.train(Turn.model_validate_json(turn)))
    except (Exception, SystemExit) as error:
        _reply(replies, TurnTime(error=describe(error)))
        return 1
    return 0


def _reply(replies: TextIO, time: TurnTime) -> None:
    replies.write(time.model_dump_json() + "\n")
    replies.flush()


if __name__ == "__main__":
    sys.exit(main())
