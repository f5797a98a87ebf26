"""The cells of a request, and the order in which they are run."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import methods
from bench import datasets
from bench.datasets import Dataset
from bench.errors import UserError
from bench.planning import plan
from bench.planning.plan import check_cells, make_plan
from bench.planning.presets import PRESETS
from methods.core.method import Method, TaskShape
from methods.core.options import Options
from results.schema import PlannedCell
from tests.bench.datasets.files import arrays, write_folders


def request(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "methods": "noprop,backprop,backprop-plain",
        "datasets": ("digits",),
        "preset": "quick",
        "seeds": (0, 1, 2, 3),
        "epochs": None,
        "batch_size": None,
        "lr": None,
        "weight_decay": None,
        "train_size": None,
        "device": "cpu",
        "threads": 2,
        "settings": {"T": "1"},
        "data_dir": None,
    }
    return values | changes


def methods_by_seed(cells: list[PlannedCell]) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for cell in cells:
        groups.setdefault(cell.seed, []).append(cell.method_name)
    return list(groups.values())


def test_every_combination_once(second_dataset: str) -> None:
    cells = make_plan(**request(datasets=("digits", second_dataset)))
    assert Counter(cell.key for cell in cells) == Counter(
        (dataset, method, seed)
        for dataset in ("digits", "other")
        for method in ("noprop[T=1]", "backprop[T=1]", "backprop-plain")
        for seed in range(4)
    )
    assert [cell.dataset for cell in cells] == ["digits"] * 12 + ["other"] * 12


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A data set in the layout of ImageFolder."""
    write_folders(tmp_path / "photos", arrays((1, 8, 8), num_classes=3))
    return tmp_path / "photos"


def test_a_path_is_planned_so_that_it_holds_from_everywhere(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders.parent)
    cells = make_plan(**request(datasets=("folder:photos[size=9]", "digits")))
    assert list(dict.fromkeys(cell.dataset for cell in cells)) == [f"folder:{folders}[size=9]", "digits"]
    monkeypatch.chdir("/")
    check_cells(cells, None)


def test_two_spellings_of_a_path_are_one_data_set(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders.parent)
    with pytest.raises(UserError, match=rf"data set 'folder:{folders}' is given more than once"):
        make_plan(**request(datasets=("folder:photos", f"folder:{folders}")))


def test_what_is_odd_about_the_data_is_said_once_and_duplicates_are_refused_unless_allowed(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"folder:{folders}"
    make_plan(**request(datasets=(name,)))
    assert capsys.readouterr().err.count("its smallest class has 4 training images") == 1
    shutil.rmtree(folders / "test")
    shutil.copytree(folders / "train", folders / "test")
    with pytest.raises(UserError, match="--duplicates"):
        make_plan(**request(datasets=(name,)))
    cells = make_plan(**request(datasets=(name,), duplicates=True))
    assert cells[0].config.duplicates
    check_cells(cells, None)


def test_each_seed_begins_with_another_method() -> None:
    a, b, c = "noprop", "backprop", "backprop-plain"
    cells = make_plan(**request(seeds=(5, 2, 9, 0)))
    assert [cell.seed for cell in cells] == [5] * 3 + [2] * 3 + [9] * 3 + [0] * 3
    assert methods_by_seed(cells) == [[a, b, c], [b, c, a], [c, a, b], [a, b, c]]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_gives_what_the_user_does_not(name: str) -> None:
    (cell, *_), preset = make_plan(**request(preset=name, seeds=None)), PRESETS[name]
    config = cell.config
    assert config.epochs == datasets.get("digits").epochs[name]
    assert (config.batch_size, config.lr, config.weight_decay) == (preset.batch_size, preset.lr, preset.weight_decay)
    seeds = {cell.seed for cell in make_plan(**request(preset=name, seeds=None))}
    assert seeds == set(preset.seeds)


def test_user_wins_over_the_preset() -> None:
    (cell, *_) = make_plan(
        **request(epochs=3, batch_size=17, lr=0.5, weight_decay=0.0, train_size=50, preset="paper", threads=6)
    )
    config = cell.config
    assert (config.epochs, config.batch_size, config.lr, config.weight_decay) == (3, 17, 0.5, 0.0)
    assert (config.train_size, config.threads, config.device, config.preset) == (50, 6, "cpu", "paper")


@pytest.mark.parametrize("planned_before", [False, True])
@pytest.mark.parametrize(("amp", "has_it"), [(True, False), (True, True), (True, None), (False, False)])
def test_mixed_precision_without_the_instructions_for_it_is_said(
    amp: bool,
    has_it: bool | None,
    planned_before: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plan, "has_bfloat16", lambda _: has_it)
    cells = make_plan(**request(), amp=amp)
    if planned_before:
        capsys.readouterr()
        check_cells(cells, None)
    assert capsys.readouterr().err.count("--amp: cpu has no instructions for bfloat16") == (amp and has_it is False)


@pytest.mark.parametrize("augment", ["none", "standard"])
def test_augmentation_is_the_same_for_all_methods(augment: str) -> None:
    assert {cell.config.augment for cell in make_plan(**request(augment=augment, methods="all"))} == {augment}
    assert make_plan(**request())[0].config.augment == "none"


def test_conditions_are_equal_for_all_methods() -> None:
    """Fairness: nothing but a method's own options differs inside a data set."""
    cells = make_plan(**request(methods="all", seeds=(0, 1)))
    assert len({cell.config.model_copy(update={"options": {}}).model_dump_json() for cell in cells}) == 1


def test_the_paper_trains_each_method_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 3, and the user over the paper."""
    digits = datasets.get("digits")
    as_cifar = Dataset("cifar10", "", digits.class_names, digits.load, digits.epochs)
    monkeypatch.setattr(datasets, "get", lambda name: as_cifar)
    asked = {"datasets": ("cifar10",), "preset": "paper", "seeds": (0,), "methods": "noprop,backprop,noprop-ct,adjoint"}
    found = {
        cell.method_name: (cell.config.optimizer, cell.config.epochs, cell.config.options.get("steps"))
        for cell in make_plan(**request(**asked))
    }
    assert found == {
        "noprop": ("AdamW", 150, None),
        "backprop": ("AdamW", 150, None),
        "noprop-ct": ("Adam", 500, 1000),
        "adjoint": ("AdamW", 4, 1000),
    }
    cells = make_plan(**request(**asked | {"settings": {"steps": "7"}, "epochs": 3}))
    assert {(cell.config.epochs, cell.config.options.get("steps", 7)) for cell in cells} == {(3, 7)}


def test_same_seed_and_method_on_another_seed_s_data() -> None:
    """Seeds differ in initialisation, batches and noise, never in the split."""
    assert len({cell.config.split_seed for cell in make_plan(**request())}) == 1


@pytest.mark.parametrize(("name", "cards", "device"), [
    ("auto", 0, "cpu"),
    ("auto", 2, "cuda:0"),
    ("cpu", 2, "cpu"),
    ("cuda", 2, "cuda:0"),
    ("cuda:1", 2, "cuda:1"),
])  # fmt: skip
def test_device(monkeypatch: pytest.MonkeyPatch, name: str, cards: int, device: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: cards > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: cards)
    assert plan.resolve_device(name) == device


class _Raises(methods.get("backprop-plain")):  # type: ignore[misc]
    error: Exception

    def __init__(self, shape: TaskShape, options: Options) -> None:
        raise self.error


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> type[_Raises]:
    """`backprop-plain`, with a constructor that raises `error`."""
    found = methods.get

    def get(name: str) -> type[Method]:
        return _Raises if name == "backprop-plain" else found(name)

    monkeypatch.setattr(methods, "get", get)
    return _Raises


def test_method_that_does_not_fit_the_data(raising: type[_Raises]) -> None:
    raising.error = methods.MethodError("images of 8x8 pixels are too small")
    with pytest.raises(UserError, match="backprop-plain on digits: images of 8x8 pixels are too small"):
        make_plan(**request())


def test_method_with_a_bug_is_left_to_its_cells(raising: type[_Raises]) -> None:
    """A fault in one method's code must not keep the others from running: its row will say what it raised."""
    raising.error = KeyError("oops")
    assert len(make_plan(**request())) == 12


def test_plan_can_be_checked_again() -> None:
    cells = make_plan(**request())
    check_cells(cells, None)
    check_cells([], None)
    with pytest.raises(UserError, match="'cuda:3'"):
        check_cells(
            [cells[0].model_copy(update={"config": cells[0].config.model_copy(update={"device": "cuda:3"})})], None
        )


def test_weights_are_not_averaged_where_memory_holds_one_block() -> None:
    low = request(methods="noprop[execution=low_memory]", ema=0.9)
    with pytest.raises(UserError, match=r"--ema is not accepted with noprop\[T=1,execution=low_memory\]"):
        make_plan(**low)
    assert {cell.config.ema for cell in make_plan(**low | {"methods": "noprop"})} == {0.9}
