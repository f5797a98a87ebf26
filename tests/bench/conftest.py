"""The command line in this process, on a machine without cards, data folders or network."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
import torch

from bench import datasets, run
from bench.datasets import Dataset
from bench.runner import execute, sweep
from reports import build
from tests.bench.fakes import FakeCells, FakeTrials
from tests.bench.harness import Ended, Plugin, call

Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def bare_machine(empty_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(execute, "race_run", lambda *arguments: None)  # which starts processes and takes its time


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Calls `bench.run.main` with arguments as the shell would give them."""

    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: call(run.main, "bench.run", arguments, monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def second_dataset(monkeypatch: pytest.MonkeyPatch) -> str:
    """Digits under another name, with other epochs."""
    digits = datasets.get("digits")
    other = Dataset("other", digits.summary, digits.class_names, digits.load, {"quick": 3, "standard": 4, "paper": 5})
    found = datasets.get
    monkeypatch.setattr(datasets, "get", lambda name: other if name == "other" else found(name))
    return "other"


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    """What a command in this process sets, it does not set for the tests after it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    """A plug-in for a module's processes."""
    made = Plugin(tmp_path_factory.mktemp("plugin"))
    yield made
    made.clean_up()


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> FakeCells:
    """Instead of processes that train: rows at once. Reports are a file without pictures."""
    fake = FakeCells()
    monkeypatch.setattr(sweep, "run_in_process", fake)
    monkeypatch.setattr(build, "view_and_report", fake.view_and_report)
    return fake


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> FakeTrials:
    """Instead of processes that train for a search or a sweep: validation accuracies at once."""
    fake = FakeTrials()
    monkeypatch.setattr(sweep, "run_in_process", fake)
    return fake
