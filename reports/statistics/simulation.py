"""How often the report's statistics are right, where the truth is known: `python -m reports.statistics.simulation`.

Prints the tables of `reports/README.md`: the rate of false alarms over the whole family and the coverage of the printed
intervals where nothing differs, then power and the rate of false "equivalent".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics import race_simulation
from reports.statistics.accuracy import Answers, accuracy_changes, accuracy_effects
from reports.statistics.costs import cost_changes, cost_effects
from reports.statistics.effect import Effect, Verdict
from reports.statistics.rates import Rates, told_apart

Noise = Literal["normal", "skewed", "heavy-tailed"]
NOISES: tuple[Noise, ...] = ("normal", "skewed", "heavy-tailed")
MARGINS = {"accuracy": 0.5, "cost": math.log(1.05)}
"""The defaults of `bench.run`: points, and the logarithm of a ratio."""
LIMITS = {"accuracy": -1.0, "cost": math.log(1.1)}
"""The defaults of `bench.compare`, likewise."""
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
    two_runs: bool = False
    """Whether a new run is compared with an old one, instead of methods with the reference."""
    alike: bool = False
    """Whether all methods differ, and not only the second."""
    shared: bool = False
    """Whether as much noise again is shared by all methods of a seed and run, as in a slow hour."""
    unequal: bool = False
    """Whether methods differ in spread: from 0.4 times to 1.6 times `sd`."""
    disturbed: int = 0
    """Cells that the machine made slower."""
    images: int = 1_000
    accuracy: float = 0.97


def simulate(case: Case, runs: int, seed: int = 0) -> Rates:
    """Draw the case `runs` times and hold the verdicts against the truth."""
    rng = np.random.default_rng(seed)
    rates = Rates()
    for _ in range(runs):
        effects = _accuracy(case, rng) if case.what == "accuracy" else _cost(case, rng)
        _count(rates, case, effects)
    return rates


def _count(rates: Rates, case: Case, effects: dict[str, Effect]) -> None:
    truths = {name: case.effect if name == "1" or case.alike else 0.0 for name in effects}
    if case.two_runs:
        rates.count(effects, truths, {name for name, each in effects.items() if _is_regression(case, each)}, False)
        return
    verdicts = {
        name: each.verdict(MARGINS[case.what], higher_is_better=case.what == "accuracy")
        for name, each in effects.items()
    }
    rates.count(effects, truths, told_apart(verdicts), verdicts["1"] is Verdict.EQUIVALENT)


def _is_regression(case: Case, effect: Effect) -> bool:
    """Past the limit of `bench.compare`, and by more than chance."""
    assert effect.family is not None
    if case.what == "accuracy":
        return effect.value < LIMITS["accuracy"] and effect.family.high < 0
    return effect.rises_past(LIMITS["cost"])


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
    n = case.images
    difficulty = math.sqrt(_DIFFICULTY) * rng.normal(size=n) + math.sqrt(_OWN) * rng.normal(size=(case.methods, n))
    runs = [_answers(case, rng, difficulty, differs) for differs in ([False, True] if case.two_runs else [True])]
    if case.two_runs:
        return accuracy_changes({name: (runs[0][name], runs[1][name]) for name in runs[0]})
    return accuracy_effects(runs[0], "0")


def _answers(
    case: Case, rng: np.random.Generator, difficulty: NDArray[np.float64], differs: bool
) -> dict[str, Answers]:
    """A run's answers; `difficulty` of the images for each method, (methods, images)."""
    s, n = case.seeds, case.images
    chance = case.accuracy + _noise(case.noise, rng, (case.methods, s)) * _spreads(case)[:, None] / 100
    chance[_changed(case)] += differs * case.effect / 100
    bound = special.ndtri(np.clip(chance, 1e-6, 1 - 1e-6))
    methods = {}
    for k in range(case.methods):
        right = difficulty[k] + math.sqrt(1 - _DIFFICULTY - _OWN) * rng.normal(size=(s, n)) < bound[k][:, None]
        methods[str(k)] = Answers(
            {seed: float(each.mean()) for seed, each in enumerate(right)}, dict(enumerate(right)), n
        )
    return methods


def _changed(case: Case) -> slice:
    return slice(None) if case.alike else slice(1, 2)


def _cost(case: Case, rng: np.random.Generator) -> dict[str, Effect]:
    m, s = case.methods, case.seeds
    old, new = case.sd * (_noise(case.noise, rng, (2, m, s)) + rng.normal(size=(2 if case.shared else 1, 1, s)))
    for _ in range(case.disturbed):
        new[rng.integers(m), rng.integers(s)] += math.log(rng.uniform(*_DISTURBED))
    new[_changed(case)] += case.effect
    if case.two_runs:
        return cost_changes(_by_seed(new - old)).effects
    return cost_effects(_by_seed(new), "0").effects


def _by_seed(logs: NDArray[np.float64]) -> dict[str, dict[int, float]]:
    return {str(k): dict(enumerate(np.exp(row).tolist())) for k, row in enumerate(logs)}


SEEDS, METHODS = (2, 3, 5, 10), (2, 6, 15)
NOTHING: dict[str, Case] = {
    **{f"cost, {noise} noise": Case("cost", 0, 0, noise, sd=0.1) for noise in NOISES},
    "cost, one cell disturbed": Case("cost", 0, 0, sd=0.1, disturbed=1),
    **{f"accuracy, {noise} noise": Case("accuracy", 0, 0, noise) for noise in NOISES},
    **{f"accuracy, {noise} noise, unequal spreads": Case("accuracy", 0, 0, noise, unequal=True) for noise in NOISES},
    **{f"two runs, cost, {noise} noise": Case("cost", 0, 0, noise, sd=0.1, two_runs=True) for noise in NOISES},
    "two runs, cost, half of the noise shared by a seed's methods": Case(
        "cost", 0, 0, sd=0.1 / math.sqrt(2), two_runs=True, shared=True
    ),
    "two runs, cost, one cell disturbed": Case("cost", 0, 0, sd=0.1, disturbed=1, two_runs=True),
    "two runs, accuracy": Case("accuracy", 0, 0, two_runs=True),
    "two runs, accuracy, unequal spreads": Case("accuracy", 0, 0, unequal=True, two_runs=True),
}
"""Where nothing differs."""
_SLOWER = Case("cost", 0, 3, sd=0.1, effect=math.log(1.3), two_runs=True)
SOMETHING: dict[str, Case] = {
    "a cost of 2 times, 3 seeds": Case("cost", 0, 3, sd=0.1, effect=math.log(2)),
    "a cost of 1.3 times, 3 seeds": Case("cost", 0, 3, sd=0.1, effect=math.log(1.3)),
    "a cost of 1.3 times, 5 seeds": Case("cost", 0, 5, sd=0.1, effect=math.log(1.3)),
    "a cost at the margin (5%, SD 1%), 5 seeds": Case("cost", 0, 5, sd=0.01, effect=math.log(1.05)),
    "an accuracy 5 points lower, 3 seeds": Case("accuracy", 0, 3, effect=-5.0, images=10_000),
    "an accuracy 2 points lower, 5 seeds": Case("accuracy", 0, 5, effect=-2.0, images=10_000),
    "an accuracy at the margin (0.5 points, SD 0.1), 5 seeds": Case(
        "accuracy", 0, 5, effect=-0.5, sd=0.1, images=10_000
    ),
    "two runs, all methods 1.3 times slower, 3 seeds": replace(_SLOWER, alike=True),
    "two runs, one method 1.3 times slower, 3 seeds": _SLOWER,
    "two runs, one method 1.3 times slower, 5 seeds": replace(_SLOWER, seeds=5),
    "two runs, one method 5 points worse, 3 seeds": Case("accuracy", 0, 3, effect=-5.0, two_runs=True),
}


@click.command()
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Made-up runs of each case.")
def main(runs: int) -> None:
    """Print how often the report's verdicts are right where the truth is known."""
    _print("nothing differs", *(f"{seeds} seeds" for seeds in SEEDS))
    for what, case in NOTHING.items():
        entries = []
        for seeds in SEEDS:
            found = [simulate(replace(case, methods=methods, seeds=seeds), runs) for methods in METHODS]
            coverage = [each.coverage for each in found]
            alarms = max(each.false_alarms for each in found) / runs
            entries.append(f"{alarms:.1%}; {100 * min(coverage):.1f}–{100 * max(coverage):.1f}%")
        _print(what, *entries)
    print()
    _print("something differs", *(f"{methods} methods" for methods in METHODS))
    for what, case in SOMETHING.items():
        found = [simulate(replace(case, methods=methods), runs) for methods in METHODS]
        _print(what, *(f"{each.called / runs:.1%}; {each.equivalent / runs:.1%}" for each in found))
    for what, entries in race_simulation.rows(runs):
        if what.endswith("differs"):
            print()
        _print(what, *entries)


def _print(first: str, *entries: str) -> None:
    """A row; under a header, the line that makes it one."""
    print("| " + " | ".join([first, *entries]) + " |", flush=True)
    if first.endswith("differs"):
        print("|:--|" + "--:|" * len(entries), flush=True)


if __name__ == "__main__":
    main()
