"""Which hyperparameters each method ran with, how they were found, and what a search brought."""

from __future__ import annotations

from typing import Any

import pytest

from reports.sections.configuration import settings_table
from reports.sections.hyperparameters import limits, section
from reports.sections.unmatched import Mismatch, mismatches
from reports.view import RunView, arrange
from results.schema import CellResult
from tests.factories import make_cell, make_config, make_run, make_tuning


def view_of(*cells: CellResult) -> RunView:
    return arrange(make_run(cells), cells)


def rows(text: str) -> list[list[str]]:
    """The entries of every row of every table, headers too."""
    return [[entry.strip() for entry in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]


def shown(*cells: CellResult) -> str:
    return section(view_of(*cells))


def tuned(
    method: str, seed: int = 0, *, lr: float = 0.004, tuning: dict[str, Any] | None = None, **more: Any
) -> CellResult:
    config = make_config(lr=lr, weight_decay=0.0002, options={"T": 20, "eta": 1}, tuning=make_tuning(**(tuning or {})))
    return make_cell(f"{method}[tuned]", seed=seed, config=config, method_name=method, **more)


def test_what_was_not_searched() -> None:
    text = shown(make_cell("backprop"), make_cell("noprop[T=20,eta=2.0]", config=make_config(lr=0.5)))
    assert rows(text)[2:] == [
        ["`mnist`", "`backprop`", "0.001", "0.001", "none", "not searched"],
        ["`mnist`", "`noprop[T=20,eta=2.0]`", "0.5", "0.001", "`T=20,eta=2.0`", "not searched"],
    ]
    assert "*Not searched*: the defaults of the preset" in text
    assert "Optuna" not in text


def test_what_was_searched_and_how() -> None:
    text = shown(make_cell("backprop"), tuned("noprop"))
    assert [
        "`mnist`",
        "`noprop[tuned]`",
        "0.004",
        "0.0002",
        "`T=20`",
        "best of 20 trials by validation accuracy",
    ] in rows(text)
    assert [
        "`mnist`",
        "`noprop[tuned]`",
        "lr 0.0001 to 0.01, logarithmic; T 1 to 30",
        "20 trials of 3 epochs on 5,000 training images, batches of 128",
        "1",
        "trial 8",
        "89.00",
        "91.00",
    ] in rows(text)
    for said in (
        "had the same budget",
        "TPESampler with seed 0",
        "`results/tuned/mnist/study.jsonl`",
        "`0123456789ab`",
    ):
        assert said in text


def test_defaults_that_won_and_defaults_that_failed() -> None:
    text = shown(tuned("noprop", tuning={"trial": 0}), tuned("backprop", tuning={"default_val_accuracy": None}))
    assert [row[5:] for row in rows(text) if "batches of 128" in row[3]] == [
        ["the defaults", "89.00", "91.00"],
        ["trial 8", "–", "91.00"],
    ]
    assert "*Not searched*" not in text


@pytest.mark.parametrize("change", [{"trials": 10}, {"epochs": 4}, {"train_size": None}, {"seed": 1}])
def test_other_budgets_are_called_that(change: dict[str, Any]) -> None:
    assert "had NOT the same budget" in shown(tuned("noprop"), tuned("backprop", tuning=change))


def test_the_gain_is_counted_on_the_same_seeds() -> None:
    before = [make_cell("noprop", seed=seed, test_accuracy=0.80 + seed / 100, val_accuracy=0.7) for seed in range(4)]
    after = [tuned("noprop", seed, test_accuracy=0.83 + seed / 100, val_accuracy=0.7) for seed in range(3)]
    text = shown(*before, *after, tuned("backprop"))
    assert rows(text)[-1][:2] == ["`noprop`", "3"]
    assert rows(text)[-1][4] == "+3.00 ± 0.00"
    assert rows(text)[-1][7] == "+0.00 ± 0.00"
    assert "What the search brought on mnist" in text
    assert "What the search brought" not in shown(*before, tuned("backprop"))


def test_tuned_methods_are_held_against_the_tuned_reference() -> None:
    cells = [make_cell("backprop", seed=seed, test_accuracy=0.5) for seed in range(3)]
    cells += [tuned("backprop", seed, test_accuracy=0.9 + seed / 100) for seed in range(3)]
    cells += [tuned("noprop", seed, test_accuracy=0.88 + seed / 100) for seed in range(2)]
    assert rows(shown(*cells))[-1] == ["`noprop[tuned]`", "2", "−2.00 ± 0.00"]
    assert "Tuned against tuned" not in shown(*cells[:3], *cells[6:])
    assert "Tuned against tuned" not in shown(*cells[:6])


def test_seeds_with_other_hyperparameters_are_rows_of_their_own() -> None:
    text = shown(*(make_cell("noprop", seed=seed, config=make_config(lr=0.1 * (1 + seed % 2))) for seed in range(4)))
    assert [row[2] for row in rows(text)[2:]] == ["0.1", "0.2"]


def test_a_search_for_some_is_a_mismatch() -> None:
    same: dict[str, Any] = {"parameters": 100, "stack_parameters": 90}
    cells = make_cell("backprop", **same), make_cell("noprop", config=make_config(tuning=make_tuning()), **same)
    assert mismatches(view_of(*cells)) == [
        Mismatch(
            "mnist",
            "how hyperparameters were found",
            {"not searched": ["backprop"], "best of 20 trials by validation accuracy": ["noprop"]},
        )
    ]
    assert "tuning" not in settings_table(view_of(*cells))


def test_each_data_set_has_its_own_budget_in_the_caveats() -> None:
    """Searches on two data sets may differ in length, and in how much was searched, without being unequal."""
    few = make_tuning().space.items()
    cells = [
        tuned("noprop", dataset="digits", tuning={"epochs": 10}),
        tuned("noprop", tuning={"space": dict(list(few)[:1])}),
    ]
    text = "\n".join(limits(view_of(*cells)))
    assert "20 trials of 10 epochs on 5,000 training images" in text
    assert "20 trials of 3 epochs on 5,000 training images" in text
    assert "search space more thinly" not in text
    assert "search space more thinly" in "\n".join(limits(view_of(*cells, tuned("backprop"))))
