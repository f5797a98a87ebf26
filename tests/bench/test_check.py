"""`bench.new` writes a method and a data set that work, and `bench.check` says what is missing in a method."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import methods
from bench import check, contract, datasets, new
from bench.datasets import registry as dataset_registry
from methods.backprop import Backprop
from methods.core import registry as method_registry
from methods.core.method import TaskShape
from methods.core.options import Options
from tests.bench.harness import PROJECT, Ended, call, refused
from tests.checkout import python_blocks

Call = Callable[..., Ended]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Calls `bench.new.main` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(new.main, "bench.new", arguments, monkeypatch, capsys)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Imports a module of a new package, as an entry point does; it is forgotten afterwards, and what it registers."""
    methods.available()
    datasets.available()
    kept = [(held, dict(held)) for held in (method_registry._methods, dataset_registry._registered)]

    def import_it(name: str) -> Any:
        monkeypatch.syspath_prepend(tmp_path / name)
        module = name.replace("-", "_")
        imported.append(module)
        return importlib.import_module(module)

    imported: list[str] = []
    yield import_it
    for module in imported:
        del sys.modules[module]
    for held, before in kept:
        held.clear()
        held.update(before)


def test_a_new_method_keeps_the_contract(
    write: Call, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write("method", "my-method")
    assert written.code == 0
    assert "python -m pip install -e my-method; " in written.out
    assert written.out.endswith("python -m bench.run --methods my-method,backprop\n")
    load("my-method")
    ended = call(check.main, "bench.check", ["my-method"], monkeypatch, capsys)
    assert ended.code == 0, ended.out
    assert ended.out.endswith("my-method keeps the contract\n")
    documented: dict[str, Any] = {}
    exec(python_blocks(PROJECT / "methods" / "README.md")[2], documented)
    (parametrized,) = documented["test_my_method"].pytestmark
    for each in [*parametrized.args[1]][:-1]:  # without the last, which trains it again
        documented["test_my_method"](each)


def test_what_stays_fixed_asks_for_no_gradient(write: Call, load: Callable[[str], Any]) -> None:
    write("method", "my-layers")
    path = Path("my-layers/my_layers.py")
    text = path.read_text().replace("make_optimizer(self.parameters())", "make_optimizer(self.linear.parameters())")
    made = "        self.linear = nn.Linear("
    path.write_text(text.replace(made, f"        self.fixed = nn.Linear(3, 5)\n{made}"))
    module = load("my-layers")
    with pytest.raises(AssertionError, match=r"no optimiser has fixed\.weight, fixed\.bias \(.*register_buffer\)"):
        contract.trains_every_parameter("my-layers")
    numbers = contract.small("my-layers").parameter_count

    class Fixed(module.MyLayers):  # type: ignore[name-defined, misc]
        def __init__(self, shape: TaskShape, options: Options) -> None:
            super().__init__(shape, options)
            self.fixed.requires_grad_(False)

    method_registry._methods["my-layers"] = Fixed
    contract.trains_every_parameter("my-layers")
    assert contract.small("my-layers").parameter_count == numbers - 20


def test_what_is_missing_is_said_in_plain_words(
    write: Call, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("method", "my-faulty")
    path = Path("my-faulty/my_faulty.py")
    text = path.read_text().replace("        self.optimizer.zero_grad()  # gradients are not left behind\n", "")
    text = text.replace(
        "return self.linear(x.flatten(1))", "return torch.randn(len(x.zero_()), self.shape.num_classes)"
    )
    text = text.replace("def stack(self) -> Iterable[nn.Module]:", "def stack(self):\n        exit(0)")
    path.write_text(text)
    load("my-faulty")
    ended = call(check.main, "bench.check", ["my-faulty"], monkeypatch, capsys)
    assert ended.code == 1
    assert "predict uses PyTorch's global random numbers, not its generator" in ended.out
    assert "train_step leaves gradients in linear.weight, linear.bias: zero_grad() at its end" in ended.out
    assert "it does not learn" in ended.out
    assert "changes the images or labels that it is given" in ended.out
    assert "FAILED  names its stack: SystemExit: 0" in ended.out


def test_what_a_method_does_to_its_process_is_said_and_undone(write: Call, load: Callable[[str], Any]) -> None:
    write("method", "my-rude")
    path = Path("my-rude/my_rude.py")
    text = path.read_text().replace(
        "        logits =", "        torch.use_deterministic_algorithms(True)\n        logits ="
    )
    made = "        self.linear = nn.Linear("
    path.write_text(text.replace(made, f"        torch.set_grad_enabled(False)\n{made}"))
    load("my-rude")
    with pytest.raises(
        AssertionError, match=r"gradient mode \(True to False\), deterministic algorithms \(False to True\)"
    ):
        contract.leaves_the_process_as_it_was("my-rude")
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    end = threading.Event()

    class Busy(Backprop):
        def __init__(self, shape: TaskShape, options: Any) -> None:
            super().__init__(shape, options)
            threading.Thread(target=end.wait, name="mine").start()

    method_registry._methods["my-rude"] = Busy
    try:
        with pytest.raises(AssertionError, match=r"it leaves a thread running \(mine\)"):
            contract.leaves_the_process_as_it_was("my-rude")
    finally:
        end.set()


def test_a_new_data_set_works(write: Call, load: Callable[[str], Any]) -> None:
    assert write("dataset", "my-data").code == 0
    load("my-data")
    found = datasets.get("my-data")
    splits = datasets.make_splits(found.load(None), num_classes=2, train_size=None, split_seed=0)
    assert splits.record.n_test == 200


def test_what_cannot_be_used_is_one_sentence_and_nothing_is_written(
    write: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("My Method", "../x", "", "a--b", "1a"):
        refused(write("method", name), repr(name))
    for name in ("torch", "numpy", "methods", "noprop", "noprop-dt", "all", "core", "tuned"):
        refused(write("method", name), repr(name))
    for name in ("mnist", "npz", "bench"):
        refused(write("dataset", name), repr(name))
    assert list(tmp_path.iterdir()) == []
    write("method", "twice")
    refused(write("method", "twice"), "twice")
    refused(
        call(check.main, "bench.check", ["nope"], monkeypatch, capsys), "'nope'", "python -m pip install -e FOLDER?"
    )


def test_the_readmes_example_is_what_is_written_and_goes_from_file_to_report(write: Call, tmp_path: Path) -> None:
    """Outside the checkout: found by its entry point, run beside others, and in the report."""
    write("method", "my-method")
    readme = (PROJECT / "methods" / "README.md").read_text(encoding="utf-8")
    assert f"```python\n{Path('my-method/my_method.py').read_text()}```" in readme
    info = tmp_path / "my-method" / "my_method-0.1.0.dist-info"  # as pip install would write it
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-method\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[noprop_bench.methods]\nmy-method = my_method\n")
    flags = ["--seeds", "0", "--train-size", "60", "--epochs", "1", "--threads", "1", "--no-race", "--out", "runs"]
    ended = subprocess.run(
        [sys.executable, "-m", "bench.run", "--methods", "my-method,backprop[T=1],noprop[T=1]", *flags],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "my-method"), str(PROJECT)])},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    (report,) = tmp_path.glob("runs/*/report.md")
    text = " ".join(report.read_text().split())
    assert re.search(r"Code of `my-method`: package my-method 0\.1\.0 \(files [0-9a-f]{12}\)", text)
    assert "To reproduce it, with that package installed:" in text
    assert "Code of `backprop" not in text
