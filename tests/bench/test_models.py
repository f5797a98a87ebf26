"""Saved models: what is read back predicts the same to the bit, and a file that is not one of ours is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Generator

import methods
from bench.errors import UserError
from bench.models import ModelCard, load_model, model_path, save_model
from methods.core.method import Method
from tests.methods.helpers import batch, build


def card_of(method: Method, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "method_name": method.name,
        "options": method.options.as_dict(),
        "shape": {"channels": 1, "height": 8, "width": 8, "num_classes": 10},
        "class_names": list("0123456789"),
        "mean": [0.25],
        "std": [0.5],
        "dataset": "digits",
        "seed": 0,
        "epochs": 1,
        "val_accuracy": 0.5,
        "test_accuracy": 0.5,
        "commit": None,
    }
    return ModelCard.model_validate(values | changes)


def small(name: str, **options: object) -> Method:
    sizes = {"T": 2, "steps": 3}
    known = methods.get(name).Options.parse({}).as_dict()
    return build(name, **({key: value for key, value in sizes.items() if key in known} | options))


def check_same_prediction(method: Method, path: Path) -> None:
    method.train_step(*batch(32))  # statistics and parameters that no fresh model has
    method.eval()
    x, _ = batch(8, seed=1)
    before = method.predict(x, Generator().manual_seed(3))
    save_model(path, method, card_of(method))
    after = load_model(path).method.predict(x, Generator().manual_seed(3))
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", sorted(methods.available()))
def test_a_saved_model_predicts_as_before(name: str, tmp_path: Path) -> None:
    check_same_prediction(small(name), tmp_path / "model.safetensors")


@pytest.mark.parametrize("options", [{"embedding": "learned", "decoder": "relu"}, {"embedding": "prototype"}], ids=str)
def test_options_are_carried(options: dict[str, str], tmp_path: Path) -> None:
    check_same_prediction(small("noprop", sampler="mean", samples=2, **options), tmp_path / "model.safetensors")


def test_parameters_that_share_memory_are_saved(tmp_path: Path) -> None:
    method = small("backprop-plain")
    method.again = method.head
    save_model(tmp_path / "model.safetensors", method, card_of(method))
    state = load_file(tmp_path / "model.safetensors")
    assert torch.equal(state["again.weight"], state["head.weight"])


def test_a_constructor_may_look_at_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Curious(methods.get("backprop-plain")):  # type: ignore[misc]
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.scale = self.head.weight.detach().norm().item()

    method = small("backprop-plain")
    save_model(tmp_path / "model.safetensors", method, card_of(method))
    monkeypatch.setattr(methods, "get", lambda name: Curious)
    assert load_model(tmp_path / "model.safetensors").method.scale > 0


def test_loading_draws_no_random_number(saved: Path) -> None:
    before = torch.get_rng_state()
    load_model(saved)
    assert torch.equal(before, torch.get_rng_state())


def test_saving_leaves_one_file_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "models" / "model.safetensors"
    for seed in (1, 2):
        method = build("backprop-plain", seed=seed)
        save_model(path, method, card_of(method, seed=seed))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert load_model(path).card.seed == 2


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    method = small("noprop")
    save_model(path, method, card_of(method))
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["noprop-bench"])
    assert said["method_name"] == "noprop"
    assert said["options"]["T"] == 2


def test_every_cell_has_a_file_of_its_own() -> None:
    labels = ["noprop", "noprop[T=5]", "noprop[T=5,sampler=mean]", "noprop[T=50]"]
    paths = {model_path(data, label, seed) for data in ("digits", "mnist") for label in labels for seed in (0, 1)}
    assert len(paths) == 16
    assert all(path.suffix == ".safetensors" and path.parent.name == "models" for path in paths)


def test_cells_that_look_alike_have_files_of_their_own() -> None:
    cells = [("a", "b-c"), ("a-b", "c"), ("a", "b_c"), ("a", "b c"), ("a", "b/c"), ("a", "B-C"), ("a", "b-C")]
    cells += [("a", "m" * 200), ("a", "m" * 201), ("a", "../../b")]
    cells += [(f"npz:/{folder}/x.npz", "b") for folder in ("a", "A", "a" * 300, "../..")]
    paths = [model_path(data, label, 0) for data, label in cells]
    assert len({path.name.lower() for path in paths}) == len(cells)
    assert all(path.parent.name == "models" and len(path.name) < 150 for path in paths)
    assert model_path("digits", "noprop", 3).name == "digits.noprop.seed3.safetensors"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    method = small("noprop")
    save_model(path, method, card_of(method))
    return path


def rewrite(path: Path, **changes: Any) -> None:
    """The same tensors under a changed header."""
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["noprop-bench"])
    save_file(load_file(path), path, metadata={"noprop-bench": json.dumps(said | changes)})


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "newer": ({"version": 2}, "version 2"),
    "unknown method": ({"method_name": "telepathy"}, "telepathy"),
    "unknown option": ({"options": {"colour": "red"}}, "colour"),
    "more depth than is held": ({"options": {"T": 1000}}, "does not hold the tensors"),
    "gigantic depth": ({"options": {"T": 10**9}}, "from 1 to 1,000"),
    "gigantic embedding": ({"options": {"T": 2, "embedding": "learned", "embedding_dim": 10**12}}, "from 1 to 100,000"),
    "overflowing embedding": (
        {"options": {"T": 2, "embedding": "learned", "embedding_dim": 10**19}},
        "from 1 to 100,000",
    ),
    "depth of many digits": ({"options": {"T": 10**400}}, "from 1 to 1,000"),
    "schedule too flat": ({"options": {"T": 2, "alpha_bar_min": 0.5, "alpha_bar_max": 0.5 + 1e-16}}, "alpha_bar"),
    "list for a number": ({"options": {"T": [2]}}, "T must be a whole number"),
    "other depth": ({"options": {"T": 3}}, "does not hold the tensors"),
    "gigantic images": ({"shape": {"channels": 1, "height": 10**9, "width": 8, "num_classes": 10}}, "shape.height"),
    "other classes": ({"class_names": ["a", "b"]}, "names"),
    "no spread": ({"std": [0.0]}, "std"),
    "negative spread": ({"std": [-1.0]}, "std"),
    "mean that is no number": ({"mean": [float("nan")]}, "mean"),
    "endless name": ({"method_name": "x" * 10**6}, "method_name"),
    "words for numbers": ({"mean": "grey"}, "mean"),
    "too small": ({"shape": {"channels": 1, "height": 2, "width": 8, "num_classes": 10}}, "too small"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_does_not_fit_is_refused(saved: Path, name: str) -> None:
    changes, said = HEADERS[name]
    rewrite(saved, **changes)
    with pytest.raises(UserError, match=said) as refusal:
        load_model(saved)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_one_bit_that_has_changed_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-50] ^= 64
    saved.write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        load_model(saved)


def test_tensors_of_another_type_are_refused(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        said = file.metadata()["noprop-bench"]
    whole = {name: tensor.to(torch.int64) for name, tensor in load_file(saved).items()}
    save_file(whole, saved, metadata={"noprop-bench": said})
    with pytest.raises(UserError, match="does not hold the tensors"):
        load_model(saved)


def make_foreign(path: Path, kind: str) -> None:
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("weights: many\n")
    elif kind == "pickle":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "another project's":
        save_file({"weight": torch.zeros(3)}, path)
    elif kind == "header is no JSON":
        save_file({"weight": torch.zeros(3)}, path, metadata={"noprop-bench": "{"})
    elif kind == "absent":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    "kind",
    ["cut short", "empty", "text", "pickle", "another project's", "header is no JSON", "absent", "folder"],
)
def test_a_file_that_is_not_a_model_is_refused(saved: Path, kind: str) -> None:
    make_foreign(saved, kind)
    with pytest.raises(UserError, match=r"model\.safetensors") as refusal:
        load_model(saved)
    assert "\n" not in str(refusal.value)


def test_no_model_is_put_where_the_run_is_not(tmp_path: Path) -> None:
    """On another machine, the run's folder may be absent: a model there would be one that nobody finds."""
    method = small("backprop-plain")
    with pytest.raises(OSError, match="run"):
        save_model(tmp_path / "run" / model_path("digits", "noprop", 0), method, card_of(method))
    assert list(tmp_path.iterdir()) == []
