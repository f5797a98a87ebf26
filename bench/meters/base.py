"""What a meter is. `bench.meters` lists those in use; the README beside this file shows how to add one."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any, ClassVar, Self

import torch


class Meter:
    """Measures something of one cell between `start` and `stop`, which may be called for one stretch after another.

    What several stretches come to is added up. A value that the machine does not tell is None, never a guess.
    """

    interval: float = 1.0
    """Seconds between two samples."""
    always: ClassVar[bool] = False
    """Whether it is sampled between stretches, too, from the first one on."""
    coarse: ClassVar[tuple[str, ...]] = ()
    """Fields whose counters move in ticks of 1 to 100 ms: null where less than a second was measured."""

    def __init__(self, pid: int, device: torch.device) -> None:
        """Measure the cell whose process has this number and computes on this device."""
        self.pid, self.device = pid, device
        self.noted: dict[str, list[float | None]] = defaultdict(list)

    def start(self) -> None:
        """A stretch begins."""

    def sample(self) -> None:
        """Look once. Called every `interval` seconds of a stretch for meters that work from outside, else never."""

    def stop(self) -> None:
        """The stretch ends."""

    def fields(self) -> dict[str, Any]:
        """What was measured, by the names of fields of `CellResult` or `MachineRecord`."""
        raise NotImplementedError

    def note(self, **values: float | None) -> None:
        """Keep what was seen, under names of the meter's own, for `known`, `mean` and `total`."""
        for name, value in values.items():
            self.noted[name].append(value)

    def known(self, name: str) -> list[float]:
        """The values that are not None."""
        return [value for value in self.noted[name] if value is not None]

    def mean(self, name: str) -> float | None:
        """Their mean; None where there are none."""
        return fmean(self.known(name)) if self.known(name) else None

    def total(self, name: str) -> float | None:
        """Their sum; one value that is None makes it unknown, and not smaller."""
        return sum(self.known(name)) if self.noted[name] and None not in self.noted[name] else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
