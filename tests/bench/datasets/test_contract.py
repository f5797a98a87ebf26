"""What holds for every registered data set, and for those that schemes make, whoever wrote them."""

from pathlib import Path

import numpy as np
import pytest

from bench.datasets import PRESETS, Dataset, RawData, available, get, make_splits, schemes
from bench.errors import UserError
from tests.bench.datasets import files


@pytest.fixture(params=sorted({*available(), *schemes()}))
def dataset(request: pytest.FixtureRequest, root: Path) -> Dataset:
    if request.param not in schemes():
        return available()[request.param]
    if request.param not in files.SCHEMES:
        pytest.skip("nothing is known of what it opens")
    return get(files.SCHEMES[request.param](root))


@pytest.fixture
def raw(dataset: Dataset, root: Path) -> RawData:
    if dataset.name in files.CONTRACT:
        make, write = files.CONTRACT[dataset.name]
        write(root, make())
    try:
        return dataset.load(root)
    except UserError as error:
        if dataset.name.partition(":")[0] in {"digits", *files.CONTRACT, *files.SCHEMES}:
            raise
        pytest.skip(f"cannot be loaded offline: {error}")


def test_describes_itself(dataset: Dataset) -> None:
    assert dataset.summary
    assert "\n" not in dataset.summary
    assert len(set(dataset.class_names)) == dataset.num_classes >= 2
    assert set(PRESETS) <= set(dataset.epochs)
    assert dataset.epochs["quick"] <= dataset.epochs["standard"] <= dataset.epochs["paper"]


def test_its_name_stands_for_it_again(dataset: Dataset) -> None:
    again = get(dataset.name)
    assert (again.name, again.class_names, again.epochs) == (dataset.name, dataset.class_names, dataset.epochs)


def test_has_every_class_in_both_parts(dataset: Dataset, raw: RawData) -> None:
    every = set(range(dataset.num_classes))
    assert set(raw.y_train.tolist()) == every
    assert set(raw.y_test.tolist()) == every


def test_loads_the_same_twice(dataset: Dataset, raw: RawData, root: Path) -> None:
    again = dataset.load(root)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        assert np.array_equal(getattr(raw, name), getattr(again, name))


@pytest.mark.parametrize("name", sorted(files.CONTRACT))
def test_holds_what_was_written(name: str, root: Path) -> None:
    make, write = files.CONTRACT[name]
    write(root, make())
    raw = available()[name].load(root)
    for loaded, written in zip((raw.x_train, raw.y_train, raw.x_test, raw.y_test), make(), strict=True):
        assert np.array_equal(loaded, written)
    assert raw.partial
    assert not raw.verified


def test_can_be_split(dataset: Dataset, raw: RawData) -> None:
    size = 2 * dataset.num_classes
    splits = make_splits(raw, num_classes=dataset.num_classes, train_size=size, split_seed=0)
    assert splits.x_train.shape == (size, *raw.x_train.shape[1:])
    assert splits.record.shape == raw.x_train.shape[1:]
    assert splits.record.n_train_available + splits.record.n_val == len(raw.x_train)
    assert splits.record.n_test == len(raw.x_test)
    assert splits.record.source == raw.source
