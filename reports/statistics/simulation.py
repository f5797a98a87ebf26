"""How often the report's statistics are right, where the truth is known: `python -m reports.statistics.simulation`.

Prints the table of `reports/README.md`: for each case the rate of false alarms over the whole family, the coverage of
the printed intervals, the rate of false "equivalent", and the power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.accuracy import Answers, accuracy_effects
from reports.statistics.costs import cost_effects
from reports.statistics.effect import Effect, Verdict

Noise = Literal["normal", "skewed", "heavy-tailed"]
NOISES: tuple[Noise, ...] = ("normal", "skewed", "heavy-tailed")
MARGINS = {"accuracy": 0.5, "cost": math.log(1.05)}
"""The defaults of the command line: points, and the logarithm of a ratio."""
_DIFFICULTY, _OWN = 0.6, 0.2
"""Parts of what decides whether an image is got right: the image's for all methods, the image's for one method."""
_DISTURBED = (1.5, 5.0)
"""By what a disturbed cell is slower, at random between these."""


@dataclass(frozen=True, slots=True)
class Case:
    """A made-up run, drawn again and again."""

    what: Literal["accuracy", "cost"]
    methods: int
    seeds: int
    noise: Noise = "normal"
    effect: float = 0.0
    """True difference of the second method from the reference, in points, or as the logarithm of a ratio."""
    sd: float = 0.5
    """Of one seed, in points; of the logarithm of one cell's cost."""
    unequal: bool = False
    """Whether methods differ in spread: from 0.4 times to 1.6 times `sd`."""
    disturbed: int = 0
    """Cells that the machine made slower."""
    images: int = 1_000
    accuracy: float = 0.97


@dataclass(slots=True)
class Rates:
    """What was seen, as counts."""

    runs: int = 0
    false_alarms: int = 0
    """Runs in which any method without a difference was called better or worse."""
    covered: int = 0
    intervals: int = 0
    called: int = 0
    """Runs in which the second method was called better or worse, rightly."""
    equivalent: int = 0
    """Runs in which the second method was called equivalent."""
    coverage_by_run: list[float] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Part of the printed intervals that hold the truth."""
        return self.covered / max(1, self.intervals)


def simulate(case: Case, runs: int, seed: int = 0) -> Rates:
    """Draw the case `runs` times and hold the verdicts against the truth."""
    rng = np.random.default_rng(seed)
    rates = Rates()
    for _ in range(runs):
        effects = _accuracy(case, rng) if case.what == "accuracy" else _cost(case, rng)
        _count(rates, case, effects)
    return rates


def _count(rates: Rates, case: Case, effects: dict[str, Effect]) -> None:
    rates.runs += 1
    alarm, covered = False, 0
    for name, effect in effects.items():
        truth = case.effect if name == "1" else 0.0
        verdict = effect.verdict(MARGINS[case.what], higher_is_better=case.what == "accuracy")
        differs = verdict in (Verdict.BETTER, Verdict.WORSE)
        if truth == 0.0:
            alarm |= differs
        else:
            rates.called += differs and (effect.value > 0) == (truth > 0)
        if name == "1":
            rates.equivalent += verdict is Verdict.EQUIVALENT
        if effect.alone is not None:
            rates.intervals += 1
            covered += effect.alone.low <= truth <= effect.alone.high
    rates.false_alarms += alarm
    rates.covered += covered
    rates.coverage_by_run.append(covered / max(1, len(effects)))


def _noise(kind: Noise, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Mean 0 and variance 1: normal, gamma (shape 4, skewness 1), or Student's t with 5 degrees of freedom."""
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "skewed":
        return (rng.gamma(4.0, size=shape) - 4.0) / 2.0
    return rng.standard_t(5, size=shape) / math.sqrt(5 / 3)


def _spreads(case: Case) -> NDArray[np.float64]:
    return case.sd * (np.geomspace(0.4, 1.6, case.methods) if case.unequal else np.ones(case.methods))


def _accuracy(case: Case, rng: np.random.Generator) -> dict[str, Effect]:
    """Whether an image is got right: a normal score below the accuracy's quantile, so that the truth is exact."""
    m, s, n = case.methods, case.seeds, case.images
    means = np.full(m, case.accuracy)
    means[1] += case.effect / 100
    chance = means[:, None] + _noise(case.noise, rng, (m, s)) * _spreads(case)[:, None] / 100
    bound = special.ndtri(np.clip(chance, 1e-6, 1 - 1e-6))
    common = math.sqrt(_DIFFICULTY) * rng.normal(size=n)
    methods = {}
    for k in range(m):
        own = common + math.sqrt(_OWN) * rng.normal(size=n)
        score = own + math.sqrt(1 - _DIFFICULTY - _OWN) * rng.normal(size=(s, n))
        right = score < bound[k][:, None]
        methods[str(k)] = Answers(
            {seed: float(each.mean()) for seed, each in enumerate(right)}, dict(enumerate(right)), n
        )
    return accuracy_effects(methods, "0")


def _cost(case: Case, rng: np.random.Generator) -> dict[str, Effect]:
    m, s = case.methods, case.seeds
    logs = case.sd * (_noise(case.noise, rng, (m, s)) + rng.normal(size=(1, s)))
    logs[1] += case.effect
    for _ in range(case.disturbed):
        logs[rng.integers(m), rng.integers(s)] += math.log(rng.uniform(*_DISTURBED))
    costs = {str(k): {seed: float(np.exp(value)) for seed, value in enumerate(row)} for k, row in enumerate(logs)}
    return cost_effects(costs, "0").effects


def cases() -> Iterator[tuple[str, Case]]:
    """The rows of the table, with what each shows."""
    for methods in (2, 6, 15):
        for seeds in (2, 3, 5, 10):
            for noise in NOISES:
                yield "nothing differs", Case("cost", methods, seeds, noise, sd=0.1)
            yield "nothing differs, one cell disturbed", Case("cost", methods, seeds, sd=0.1, disturbed=1)
            for noise in NOISES:
                yield "nothing differs", Case("accuracy", methods, seeds, noise)
            yield "nothing differs, unequal spreads", Case("accuracy", methods, seeds, unequal=True)
    for methods in (2, 6, 15):
        yield "a ratio of 2", Case("cost", methods, 3, sd=0.1, effect=math.log(2))
        yield "a ratio of 1.3", Case("cost", methods, 3, sd=0.1, effect=math.log(1.3))
        yield "a ratio of 1.3", Case("cost", methods, 5, sd=0.1, effect=math.log(1.3))
        yield "a ratio at the margin", Case("cost", methods, 5, sd=0.01, effect=math.log(1.05))
        yield "a gap of 5 points", Case("accuracy", methods, 3, effect=-5.0, images=10_000)
        yield "a gap of 2 points", Case("accuracy", methods, 5, effect=-2.0, images=10_000)
        yield "a gap at the margin", Case("accuracy", methods, 5, effect=-0.5, sd=0.1, images=10_000)


@click.command()
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Made-up runs of each case.")
def main(runs: int) -> None:
    """Print how often the report's verdicts are right where the truth is known."""
    print("| what | truth | methods | seeds | noise | false alarms | coverage | equivalent | power |")
    print("|:--|:--|--:|--:|:--|--:|--:|--:|--:|")
    for truth, case in cases():
        rates = simulate(case, runs)
        differs = case.effect != 0
        entries = [
            case.what,
            truth,
            str(case.methods),
            str(case.seeds),
            case.noise,
            f"{rates.false_alarms / rates.runs:.1%}" if case.methods > 2 or not differs else "–",
            f"{rates.coverage:.1%}",
            f"{rates.equivalent / rates.runs:.1%}" if differs else "–",
            f"{rates.called / rates.runs:.1%}" if differs else "–",
        ]
        print("| " + " | ".join(entries) + " |", flush=True)


if __name__ == "__main__":
    main()
