import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.datasets import Dataset, RawData, available, get, register, register_scheme, registry, schemes
from bench.errors import UserError

EPOCHS = {"quick": 1, "standard": 2, "paper": 3}


@pytest.fixture(autouse=True)
def registry_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", available())


def load_nothing(data_dir: Path | None) -> RawData:
    raise NotImplementedError


def run_python(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that sees the project and the folders given."""
    search = os.pathsep.join(map(str, [Path(bench.__file__).parents[1], *paths]))
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env=os.environ | {"PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def install_plugin(folder: Path, name: str, target: str, code: str) -> None:
    """Lay out what `pip install` would leave of a package with one module and one entry point."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[noprop_bench.datasets]\n{name} = {target}\n")


PLUGIN = """
from bench.datasets import register

@register("theirs", summary="Not ours.", class_names=("a", "b"), epochs={"quick": 1, "standard": 2, "paper": 3})
def load(data_dir):
    raise NotImplementedError
"""


def test_available_is_sorted_and_has_the_built_in_ones() -> None:
    names = list(available())
    assert names == sorted(names)
    assert {"digits", "mnist", "fashion-mnist", "kmnist", "emnist", "svhn", "cifar10", "cifar100"} <= set(names)


def test_available_is_a_copy() -> None:
    available().clear()
    assert available()


@pytest.mark.parametrize(("name", "epochs"), [("mnist", 100), ("cifar10", 150), ("cifar100", 150)])
def test_epochs_of_the_paper(name: str, epochs: int) -> None:
    """As in table 3 of arXiv 2503.24322; the other presets are ours to tune."""
    assert get(name).epochs["paper"] == epochs


def test_only_classes_without_left_and_right_may_be_mirrored() -> None:
    """A mirrored digit or letter is none; a mirrored ship is a ship."""
    ours = {"digits", "mnist", "fashion-mnist", "kmnist", "emnist", "svhn", "cifar10", "cifar100"}
    assert {name for name in ours if get(name).flip} == {"fashion-mnist", "cifar10", "cifar100"}


def test_register_adds_a_data_set() -> None:
    register("new", summary="A new one.", class_names=("a", "b", "c"), epochs=EPOCHS)(load_nothing)
    assert get("new") == Dataset("new", "A new one.", ("a", "b", "c"), load_nothing, EPOCHS)
    assert get("new").num_classes == 3


@pytest.mark.parametrize("typed", ["mnits", "MNIST"])
def test_unknown_name_hints_at_the_nearest_and_lists_all(typed: str) -> None:
    with pytest.raises(UserError) as caught:
        get(typed)
    assert f"{typed!r} (did you mean 'mnist'?)" in str(caught.value)
    assert "cifar10, cifar100, digits, emnist, fashion-mnist, kmnist, mnist, svhn" in str(caught.value)


def test_unknown_name_with_nothing_near_gives_no_hint() -> None:
    with pytest.raises(UserError, match="unknown data set 'zzz'; accepted: ") as caught:
        get("zzz")
    assert "did you mean" not in str(caught.value)


def test_a_name_can_be_taken_once() -> None:
    with pytest.raises(ValueError, match="'digits' is registered already"):
        register("digits", summary="Mine.", class_names=("a", "b"), epochs=EPOCHS)(load_nothing)
    assert get("digits").load is not load_nothing


@pytest.mark.parametrize(
    ("name", "class_names", "epochs", "message"),
    [
        ("Two words", ("a", "b"), EPOCHS, "'Two words' cannot name a data set"),
        ("a,b", ("a", "b"), EPOCHS, "'a,b' cannot name a data set"),
        ("one", ("a",), EPOCHS, "1 class names"),
        ("few", ("a", "b"), {"quick": 1, "paper": 3}, "no epochs for the preset 'standard'"),
        ("zero", ("a", "b"), EPOCHS | {"quick": 0}, "no epochs for the preset 'quick'"),
    ],
)
def test_register_refuses(name: str, class_names: tuple[str, ...], epochs: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register(name, summary="x", class_names=class_names, epochs=epochs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((2, 1, 4, 4), np.float32)}, "x_train is float32"),
        ({"x_test": np.zeros((2, 4, 4), np.uint8)}, r"x_test is uint8 \(2, 4, 4\)"),
        ({"x_test": np.zeros((2, 3, 4, 4), np.uint8)}, r"training images are \(1, 4, 4\), test images \(3, 4, 4\)"),
        ({"y_train": np.zeros(2, np.int32)}, "y_train is int32"),
        ({"y_test": np.zeros(3, np.int64)}, r"y_test is int64 \(3,\); expected int64 \(2,\)"),
    ],
)
def test_raw_data_refuses_malformed_arrays(change: dict[str, np.ndarray], message: str) -> None:
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64)
    sound = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    RawData(**sound, source="test", verified=None, partial=False)
    with pytest.raises(ValueError, match=message):
        RawData(**(sound | change), source="test", verified=None, partial=False)


SCHEME = {"usage": "many:WHAT", "summary": "As many as one likes."}


@pytest.fixture
def schemes_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_schemes", dict(schemes()))


def test_register_scheme_adds_names(schemes_put_back: None) -> None:
    def open_one(text: str) -> Dataset:
        return Dataset(f"many:{text}", text, ("a", "b"), load_nothing, EPOCHS)

    register_scheme("many", **SCHEME)(open_one)
    assert get("many:a:b").summary == "a:b"
    assert "many" not in available()
    with pytest.raises(UserError, match=r"unknown data set 'few:x'; accepted: .*, many:WHAT, npz:PATH"):
        get("few:x")
    with pytest.raises(ValueError, match="scheme 'many' is registered already"):
        register_scheme("many", **SCHEME)(open_one)
    with pytest.raises(ValueError, match="'Many of' cannot name a scheme"):
        register_scheme("Many of", **SCHEME)


def test_looking_up_imports_no_heavy_library() -> None:
    heavy = {"torch", "torchvision", "sklearn", "numpy", "pandas"}
    code = f"import sys, bench.datasets as d; d.available(); print({heavy} & set(sys.modules))"
    assert run_python(code).stdout.strip() == "set()"


@pytest.mark.parametrize("target", ["plugin", "plugin:load"])
def test_a_third_party_data_set_is_found(tmp_path: Path, target: str) -> None:
    install_plugin(tmp_path, "plugin", target, PLUGIN)
    done = run_python("from bench.datasets import get, available; print(get('theirs').summary, *available())", tmp_path)
    assert done.stdout.startswith("Not ours. cifar10 cifar100 digits")
    assert "left out" not in done.stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("raise SystemExit('two\\nlines')", "SystemExit: two lines"),
        (PLUGIN.replace("theirs", "digits"), "'digits' is registered already"),
    ],
)
def test_a_broken_third_party_does_not_break_the_rest(tmp_path: Path, code: str, reason: str) -> None:
    install_plugin(tmp_path, "a_broken_one", "a_broken_one", code)
    install_plugin(tmp_path, "plugin", "plugin", PLUGIN)
    done = run_python("from bench.datasets import available; print(*available())", tmp_path)
    assert {"digits", "theirs"} <= set(done.stdout.split())
    warned = [line for line in done.stderr.splitlines() if "'a_broken_one' (a_broken_one) was left out" in line]
    assert len(warned) == 1
    assert reason in warned[0]
