"""The harness's side of a race: new processes of two methods, ready to take turns, as often as they are wanted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from bench.children.processes import compute_variables, how_ended, kill_orphans, owned, send_line, start_child
from bench.meters.crowd import Crowd
from bench.runner.turns import Train
from bench.training.racer import RaceTask, Turn, TurnTime
from results.schema import PlannedCell


class RaceError(RuntimeError):
    """A method cannot be timed; the message is one line."""

    def __init__(self, message: str, cell: PlannedCell) -> None:
        super().__init__(message)
        self.cell = cell


class Racers:
    """Starts processes that take turns. Used in a `with` statement, at whose end none of them is left.

    While other programs crowd them, the threads of all wait without spinning, so that no method gains by it.
    """

    def __init__(self, threads: int, data_dir: Path | None) -> None:
        """Every process has so many threads, and the user's data folder, if any."""
        self._threads = threads
        self._data_dir = data_dir
        self._owned: dict[subprocess.Popen[str], ExitStack] = {}
        self._idle: list[subprocess.Popen[str]] = []
        self._crowd = Crowd(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in [*self._owned]:
            self._end(process)

    def crowded(self) -> bool:
        """Whether other programs needed the cores in the last turns; a single thread waits for no other."""
        return self._threads > 1 and self._crowd.crowded

    @contextmanager
    def ready(self, cell: PlannedCell) -> Iterator[Train]:
        """A new process for a cell's method: the fork of one that has imported what methods need.

        Its turns raise `RaceError` if it fails.
        """
        process = self._idle.pop() if self._idle else self._start()
        if process.poll() is not None:
            self._end(process)
            process = self._start()
        task = RaceTask(cell=cell, data_dir=str(self._data_dir) if self._data_dir else None)
        _send(process, task.model_dump_json())

        def train(steps: int) -> float:
            _send(process, Turn(steps=steps, yielding=self.crowded()).model_dump_json())
            time = _answer(process)
            if time is None or time.is_over:
                ended = how_ended(0 if time else process.wait())
                raise RaceError(f"the process of {cell.method} {ended}", cell)
            if time.error is not None:
                raise RaceError(f"{cell.method} raised {time.error}", cell)
            self._crowd.note(time.watched_seconds, time.foreign_core_seconds, time.cores)
            return time.seconds / steps

        try:
            yield train
        except RaceError:
            self._release(process)
            raise
        self._release(process)

    def _release(self, process: subprocess.Popen[str]) -> None:
        """End the fork; what it came from can be had again, unless it ended, too."""
        _send(process, "")
        time = _answer(process)
        if time is not None and time.is_over:
            self._idle.append(process)
        else:
            self._end(process)

    def _start(self) -> subprocess.Popen[str]:
        # NumPy would start its threads when it is imported, and what has threads is not forked
        variables = compute_variables(self._threads) | {"OPENBLAS_NUM_THREADS": "1"}
        process = start_child("bench.training.racer", subprocess.DEVNULL, variables)
        self._owned[process] = ExitStack()
        self._owned[process].enter_context(owned(process))
        kill_orphans(process)
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        self._owned.pop(process).close()


def _send(process: subprocess.Popen[str], line: str) -> None:
    with suppress(BrokenPipeError):  # its end says more
        send_line(process, line)


def _answer(process: subprocess.Popen[str]) -> TurnTime | None:
    """None if it has ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return TurnTime.model_validate_json(line) if line.endswith("\n") else None
