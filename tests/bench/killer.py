"""A plug-in that kills the process of a cell with SIGKILL, where and when a test wants it.

Copied to where the processes under test find it, as `rogue_methods`. Files `kill.*.json` beside the folder of runs are
the kills, in the order of their names: each is for the next process of its method, which removes it
and dies.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITING: dict[str, tuple[str, int, str]] = {
    "half the tensors": ("fsync", 1, "half"),
    "the tensors aside": ("replace", 1, "before"),
    "the tensors in place": ("replace", 1, "after"),
    "half the description": ("fsync", 2, "half"),
    "the description aside": ("replace", 2, "before"),
    "the description in place": ("replace", 2, "after"),
}
"""How far the writing of a checkpoint has come: a function of `os`, which of its calls, and when."""


class Killer:
    """Of this process, as a kill says:

    method, rank   whose process
    place          `training`, `evaluation`, or a key of `WRITING`
    nth            in which of this process's epochs
    seconds        after the start of training or evaluation, or at its end, if that is sooner
    command        whether the command dies first
    """

    def __init__(self, kill: dict[str, Any], emit: Callable[[Any], None]) -> None:
        self._kill, self._emit = kill, emit
        self._phases = 0
        self._is_due = False
        if kill["place"] in WRITING:
            self._watch(*WRITING[kill["place"]])

    def emit(self, event: Any) -> None:
        """Pass on an event, and watch for the phase."""
        if event.kind == "phase":
            self.end_phase()
            if event.phase == self._kill["place"]:
                self._phases += 1
                if self._phases == self._kill["nth"]:
                    self._is_due = True
                    threading.Timer(self._kill["seconds"], self.die).start()
        self._emit(event)

    def end_phase(self) -> None:
        """It was shorter than was thought."""
        if self._is_due:
            self.die()

    def die(self) -> None:
        """At once, and without a word."""
        self._kill["path"].unlink()
        if self._kill["command"]:
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def _watch(self, function: str, call: int, when: str) -> None:
        real = getattr(os, function)
        left = 2 * (self._kill["nth"] - 1) + call  # two files each time

        def watched(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0 and when == "half":
                os.ftruncate(arguments[0], int(os.fstat(arguments[0]).st_size * random.random()))
            if left == 0 and when != "after":
                self.die()
            real(*arguments)
            if left == 0:
                self.die()

        setattr(os, function, watched)


def next_kill(folder: Path, method: str) -> dict[str, Any] | None:
    """The method's next, if it is for this rank."""
    for path in sorted(folder.glob("kill.*.json")):
        kill: dict[str, Any] = json.loads(path.read_text())
        if kill["method"] == method:
            is_mine = kill["rank"] == int(os.environ.get("RANK", "0"))
            return kill | {"path": path} if is_mine else None
    return None


if "bench.runner.worker" in sys.orig_argv:
    from bench.training import cell

    _train = cell._train

    def train(method: Any, updates: Any, data: Any, job: Any, emit: Any, *others: Any) -> int:
        """`_train`, unless it is killed."""
        kill = job.checkpoint and next_kill(Path(job.checkpoint).parents[3], job.cell.method)
        if not kill:
            return _train(method, updates, data, job, emit, *others)
        killer = Killer(kill, emit)
        seen = _train(method, updates, data, job, killer.emit, *others)
        killer.end_phase()
        return seen

    cell._train = train
