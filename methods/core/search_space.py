"""Where a search for a method's hyperparameters may look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both among them.

    Raises:
        ValueError: the ends are the wrong way round, or `log` begins at 0 or below.
    """

    low: float
    high: float
    log: bool = False
    """Whether each factor is tried as often as the next (0.001 to 0.01 as often as 0.01 to 0.1)."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"{self} holds nothing to search")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', logarithmic' if self.log else ''}"
