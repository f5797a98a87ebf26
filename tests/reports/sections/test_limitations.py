"""Caveats are printed where they apply, and only there. Each case has its counter-case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reports.sections.limitations import section
from reports.view import arrange
from results.race import MethodRace
from results.schema import CellResult
from tests.factories import (
    make_cell,
    make_cells,
    make_config,
    make_data,
    make_environment,
    make_failed_cell,
    make_run,
    make_tuning,
)
from tests.results.test_race import make_race

FULL = 100
"""Epochs as in the paper, so that nothing about epochs is said of mnist."""


def sentences(cells: Sequence[CellResult], planned: Sequence[CellResult] | None = None) -> str:
    return section(arrange(make_run(planned or cells), cells))


def cells_with(**overrides: Any) -> list[CellResult]:
    values: dict[str, Any] = {"config": make_config(epochs=FULL), "parameters": 100, "stack_parameters": 90}
    return make_cells(seeds=range(5), **(values | overrides))


def cells_on(instructions: str | None) -> list[CellResult]:
    return cells_with(environment=make_environment(instructions=instructions))


def tuned(*methods: str) -> list[CellResult]:
    """Backprop and noprop, with a search for those named."""
    cells = []
    for method in ("backprop", "noprop"):
        searched = make_tuning() if method in methods else None
        label = f"{method}[tuned]" if searched else method
        for seed in range(5):
            cells.append(make_cell(label, seed=seed, config=make_config(epochs=FULL, tuning=searched)))
    return cells


def side_by_side(*, raced: bool) -> str:
    timed = MethodRace(method="noprop", steps=1, reference_steps=1, seconds=[0.3] * 20, reference_seconds=[0.1] * 20)
    cells = cells_with()
    return section(arrange(make_run(cells, jobs=2), cells, race=make_race(methods=[timed]) if raced else None))


MIXED = {"config": make_config(epochs=FULL, amp=True)}
GPU = {"config": make_config(epochs=FULL, device="cuda:0")}
CASES: list[tuple[str, Callable[[], str], Callable[[], str]]] = [
    (
        "95.0% of the test images are of one class",
        lambda: sentences(cells_with(data=make_data(majority_share=0.95))),
        lambda: sentences(cells_with(data=make_data(majority_share=0.11))),
    ),
    (
        "**Mixed precision on a processor without bfloat16** (10 cells)",
        lambda: sentences(cells_with(**MIXED, environment=make_environment(bfloat16=False))),
        lambda: sentences(cells_with(**MIXED, environment=make_environment(bfloat16=True))),
    ),
    (
        "**Mixed precision on a processor without bfloat16**",
        lambda: sentences(cells_with(**MIXED, environment=make_environment(bfloat16=False))),
        lambda: sentences(cells_with(environment=make_environment(bfloat16=False))),
    ),
    ("**One seed** says", lambda: sentences(make_cells(seeds=[0])), lambda: sentences(cells_with())),
    ("**Few seeds**", lambda: sentences(make_cells(seeds=range(4))), lambda: sentences(cells_with())),
    ("All seeds share one split", lambda: sentences(cells_with()), lambda: sentences(make_cells(seeds=[0]))),
    (
        "50,000 of the 55,000 training images",
        lambda: sentences(cells_with(data=make_data(n_train=50_000))),
        lambda: sentences(cells_with()),
    ),
    (
        "only a part of the published",
        lambda: sentences(cells_with(data=make_data(partial=True))),
        lambda: sentences(cells_with()),
    ),
    (
        "do not match the published checksums",
        lambda: sentences(cells_with(data=make_data(verified=False))),
        lambda: sentences(cells_with(data=make_data(verified=None))),
    ),
    (
        "were not verified",
        lambda: sentences(cells_with(data=make_data(verified=None))),
        lambda: sentences(cells_with()),
    ),
    (
        "small problem** (8 × 8 pixels and 1,200 training images)",
        lambda: sentences(cells_with(data=make_data(shape=(1, 8, 8), n_train=1_200, n_train_available=1_200))),
        lambda: sentences(cells_with()),
    ),
    (
        "one image is 0.28 percentage points",
        lambda: sentences(cells_with(data=make_data(n_test=360))),
        lambda: sentences(cells_with()),
    ),
    (
        "5 epochs of training**, compared with the paper's 100",
        lambda: sentences(cells_with(config=make_config(epochs=5))),
        lambda: sentences(cells_with()),
    ),
    ("no search for hyperparameters", lambda: sentences(cells_with()), lambda: sentences([make_cell()])),
    (
        "the best found by a search of 20 trials of 3 epochs on 5,000 training images",
        lambda: sentences(tuned("noprop")),
        lambda: sentences(cells_with()),
    ),
    ("no search for hyperparameters", lambda: sentences(cells_with()), lambda: sentences(tuned("noprop"))),
    ("accuracy of `noprop[tuned]` is optimistic", lambda: sentences(tuned("noprop")), lambda: sentences(cells_with())),
    (
        "a search chose the hyperparameters of `noprop[tuned]`, but not those of `backprop`",
        lambda: sentences(tuned("noprop")),
        lambda: sentences(tuned("noprop", "backprop")),
    ),
    (
        "a search chose the hyperparameters of `backprop[tuned]`, but not those of `noprop`",
        lambda: sentences(tuned("backprop")),
        lambda: sentences(tuned("noprop")),
    ),
    ("Training losses", lambda: sentences(cells_with()), lambda: sentences([make_cell()])),
    (
        "listed under Unmatched",
        lambda: sentences([*cells_with(), make_cell("forward", config=make_config(lr=0.5))]),
        lambda: sentences(cells_with()),
    ),
    (
        "**1 cell failed**, and left out",
        lambda: sentences([make_failed_cell(seed=9), *cells_with()]),
        lambda: sentences(cells_with(), [*cells_with(), make_cell(seed=9)]),
    ),
    (
        "**1 planned cell not run**",
        lambda: sentences(cells_with(), [*cells_with(), make_cell(seed=9)]),
        lambda: sentences([make_failed_cell(seed=9), *cells_with()]),
    ),
    (
        "run.json does not name",
        lambda: sentences(cells_with(), cells_with()[1:]),
        lambda: sentences(cells_with()),
    ),
    (
        "The cells' times come from one kind of machine",
        lambda: sentences(cells_with()),
        lambda: sentences([*cells_with(), make_cell(seed=9, environment=make_environment(cpu="Other"))]),
    ),
    (
        "2 kinds of machine",
        lambda: sentences([*cells_with(), make_cell(seed=9, environment=make_environment(cpu="Other"))]),
        lambda: sentences(cells_with()),
    ),
    (
        "2 kinds of machine",
        lambda: sentences([*cells_on("AVX2"), make_cell(seed=9, environment=make_environment(instructions="AVX512"))]),
        lambda: sentences([*cells_on("AVX2"), make_cell(seed=9, environment=make_environment())]),
    ),
    (
        "not a clean commit",
        lambda: sentences(cells_with(environment=make_environment(commit="abc-dirty"))),
        lambda: sentences(cells_with()),
    ),
    ("failed at first", lambda: sentences(cells_with(attempt=2)), lambda: sentences(cells_with())),
    ("Everything ran on the CPU", lambda: sentences(cells_with()), lambda: sentences(cells_with(**GPU))),
    ("Activation memory is", lambda: sentences(cells_with()), lambda: sentences(cells_with(activation_bytes=None))),
    (
        "Peak memory is that of the whole process",
        lambda: sentences(cells_with()),
        lambda: sentences(cells_with(peak_rss_bytes=None)),
    ),
    (
        "The race's ratios of times are not affected",
        lambda: side_by_side(raced=True),
        lambda: side_by_side(raced=False),
    ),
    (
        "did not let the memory mark be reset",
        lambda: sentences(cells_with(rss_source="high-water mark of the process's life")),
        lambda: sentences(cells_with()),
    ),
]


@pytest.mark.parametrize(("phrase", "applies", "does_not"), CASES, ids=[case[0] for case in CASES])
def test_a_caveat_appears_where_it_applies_and_only_there(
    phrase: str, applies: Callable[[], str], does_not: Callable[[], str]
) -> None:
    assert phrase in applies()
    assert phrase not in does_not()


def test_each_method_is_held_against_its_own_epochs_in_the_paper() -> None:
    cells = [
        make_cell(method, "cifar10", config=make_config(epochs=20))
        for method in ("backprop", "noprop", "noprop[T=20]", "noprop-ct", "adjoint", "backprop-plain")
    ]
    said = sentences(cells)
    assert (
        "cifar10: 20 epochs of training**, compared with the paper's 150 for Backprop and NoProp-DT and 500 for" in said
    )
    assert "500 for NoProp-CT (arXiv 2503.24322, Table 3): this is not a reproduction" in said
    assert "Adjoint" not in said  # it was trained for longer than the paper's 4
    assert "of training**, compared" not in sentences(cells[4:5])
    assert "150 for Backprop (" in sentences(cells[5:])
