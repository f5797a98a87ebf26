"""What the paper publishes: that the file is sound, agrees with the methods, and is matched to the right cells."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import methods
from reports.published.paper import AccuracyRow, Published, paper_dataset, paper_epochs, published, table_1_entry
from tests.factories import make_config

STACK = {"T": 10, "embedding": "onehot", "embedding_dim": None}
FLOW = {"steps": 40, "embedding": "onehot", "embedding_dim": None}


def entry(method: str, options: dict[str, Any], dataset: str = "mnist") -> tuple[str, str, float] | None:
    found = table_1_entry(dataset, method, make_config(options=options))
    return (found.row, found.embedding, found.percent) if found else None


def test_every_row_is_of_a_method_of_ours_or_of_none() -> None:
    rows = [*published().accuracy, *published().gpu_memory, *published().training]
    assert {row.method for row in rows} - {None} == {"backprop", "noprop", "adjoint", "noprop-ct", "noprop-fm"}
    assert all(row.method is None or row.method in methods.available() for row in rows)
    named = {row.here for row in published().accuracy} - {None}
    assert named == {"forward-forward", "difference-target-propagation"} <= set(methods.available())
    assert {row.row for row in published().accuracy if row.method is None} == {
        "Forward-Forward",
        "Forward gradient (LG-FG-A)",
        "Difference target propagation",
    }


def test_the_tables_are_whole() -> None:
    counts = {row.row: sum(map(len, row.percent.values())) for row in published().accuracy}
    assert counts == {
        "Backprop": 9,
        "NoProp-DT": 9,
        "Adjoint sensitivity": 3,
        "NoProp-CT": 9,
        "NoProp-FM": 9,
        "Forward-Forward": 1,
        "Forward gradient (LG-FG-A)": 2,
        "Difference target propagation": 2,
    }
    assert [len(row.gigabytes) for row in published().gpu_memory] == [3] * 5
    assert [len(row.epochs) for row in published().training] == [3] * 5


@pytest.mark.parametrize("percent", [-1.0, 0.0, 100.0, 994.6])
def test_an_accuracy_that_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(ValidationError, match="percent"):
        AccuracyRow.model_validate({"row": "a", "percent": {"onehot": {"mnist": percent}}})


def test_a_misspelt_data_set_embedding_or_field_is_refused() -> None:
    good = published().model_dump()
    Published.model_validate(good)
    for wrong in (
        {"row": "a", "percent": {"onehot": {"minst": 90.0}}},
        {"row": "a", "percent": {"one-hot": {"mnist": 90.0}}},
        {"row": "a", "percent": {"onehot": {"mnist": 90.0}}, "methd": "noprop"},
    ):
        with pytest.raises(ValidationError):
            Published.model_validate(good | {"accuracy": [wrong]})


@pytest.mark.parametrize("method", ["backprop", "noprop", "adjoint", "noprop-ct", "noprop-fm"])
def test_the_methods_own_paper_settings_say_the_same(method: str) -> None:
    """The preset `paper` trains with the methods' settings; the report holds runs against the file."""
    training, ours = published().training_of(method), methods.get(method).paper
    assert training is not None
    assert (training.optimizer, training.epochs) == (ours.optimizer, dict(ours.epochs))
    effective = methods.get(method).Options.parse(ours.options).as_dict()
    assert {name: effective[name] for name in training.options} == training.options


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist", "mnist"),
        ("CIFAR-10", "cifar10"),
        ("cifar100", "cifar100"),
        ("mnist[subset]", "mnist"),
        ("digits", None),
        ("fashion-mnist", None),
        ("mnist1d", None),
        ("cifar1", None),
    ],
)
def test_the_papers_data_sets_are_known_and_no_others(name: str, expected: str | None) -> None:
    assert paper_dataset(name) == expected
    assert (paper_epochs(name) is None) == (expected is None)


def test_epochs_are_those_of_the_method_and_the_data_set() -> None:
    assert [paper_epochs(name) for name in ("mnist", "cifar10", "cifar100")] == [100, 150, 150]
    assert [paper_epochs("cifar10", method) for method in ("noprop", "noprop-ct", "adjoint")] == [150, 500, 4]
    assert paper_epochs("mnist", "backprop-plain") is None


@pytest.mark.parametrize(
    ("method", "options", "dataset", "expected"),
    [
        ("backprop", STACK, "mnist", ("Backprop", "onehot", 99.46)),
        ("noprop", STACK, "cifar100", ("NoProp-DT", "onehot", 45.93)),
        ("noprop", STACK | {"sampler": "mean"}, "mnist", ("NoProp-DT", "onehot", 99.47)),
        ("noprop", STACK | {"embedding": "learned"}, "mnist", ("NoProp-DT", "learned", 99.49)),
        ("noprop", STACK | {"embedding": "learned", "embedding_dim": 20}, "mnist", ("NoProp-DT", "learned", 99.49)),
        ("noprop", STACK | {"embedding": "prototype"}, "cifar10", ("NoProp-DT", "prototype", 80.54)),
        ("noprop-ct", FLOW | {"embedding": "prototype"}, "cifar100", ("NoProp-CT", "prototype", 21.31)),
        ("noprop-fm", FLOW, "cifar100", ("NoProp-FM", "onehot", 6.38)),
        ("adjoint", FLOW, "cifar10", ("Adjoint sensitivity", "onehot", 66.78)),
        ("noprop", STACK | {"embedding": "learned", "embedding_dim": 64}, "mnist", None),
        ("noprop", STACK | {"T": 20}, "mnist", None),
        ("noprop", {"T": 10}, "mnist", None),
        ("adjoint", FLOW | {"embedding": "learned"}, "mnist", None),
        ("noprop-attached", STACK, "mnist", None),
        ("noprop", STACK, "fashion-mnist", None),
    ],
)
def test_a_cell_is_matched_by_data_set_method_embedding_and_depth(
    method: str, options: dict[str, Any], dataset: str, expected: tuple[str, str, float] | None
) -> None:
    assert entry(method, options, dataset) == expected
