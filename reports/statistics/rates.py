"""Verdicts of made-up runs held against the truth, and counted: what `simulation` and `race_simulation` print."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from reports.statistics.effect import Effect, Verdict


@dataclass(slots=True)
class Rates:
    """What was seen, as counts. The first of a run's effects is that of the method that may differ."""

    runs: int = 0
    false_alarms: int = 0
    """Runs in which any method without a difference was told apart."""
    covered: int = 0
    """Of the printed intervals, those that hold the truth."""
    intervals: int = 0
    covered_first: int = 0
    """Runs in which the first method's interval holds it."""
    called: int = 0
    """Runs in which a method that differs was told apart, and on the right side."""
    equivalent: int = 0
    """Runs in which the first method was called equivalent."""
    coverage_by_run: list[float] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Part of the printed intervals that hold the truth."""
        return self.covered / max(1, self.intervals)

    def count(
        self, effects: Mapping[str, Effect], truths: Mapping[str, float], told: Collection[str], equivalent: bool
    ) -> None:
        """Add a run, of which `told` were told apart, and the first method was called equivalent or not."""
        printed = {name: each.alone for name, each in effects.items() if each.alone is not None}
        held = {name for name, interval in printed.items() if interval.low <= truths[name] <= interval.high}
        self.runs += 1
        self.intervals += len(printed)
        self.covered += len(held)
        self.covered_first += next(iter(effects)) in held
        self.coverage_by_run.append(len(held) / max(1, len(effects)))
        self.false_alarms += any(truths[name] == 0.0 for name in told)
        self.called += any(effects[name].value * truths[name] > 0 for name in told)
        self.equivalent += equivalent


def told_apart(verdicts: Mapping[str, Verdict]) -> set[str]:
    """The methods called better or worse."""
    return {name for name, verdict in verdicts.items() if verdict in (Verdict.BETTER, Verdict.WORSE)}
