"""The profile of a method: what it is of, what is written and printed, and one sentence for a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import datasets, profile
from bench.planning.plan import make_plan
from bench.training.build import MethodBuilder
from bench.training.loop import DeviceData, train_epoch
from bench.training.rng import Stream, seed_of
from methods.backprop_plain import BackpropPlain
from results.schema import PlannedCell
from tests.bench.harness import Ended, call

Command = Callable[..., Ended]
SMALL = ("--method", "backprop-plain", "--batch-size", 10, "--train-size", 30, "--threads", 1)


pytestmark = pytest.mark.usefixtures("threads_as_before")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    out = ("--out", tmp_path / "out")
    return lambda *arguments: call(profile.main, "bench.profile", (*out, *arguments), monkeypatch, capsys)


def rows(table: str) -> dict[str, list[str]]:
    """The other columns by the name of an operation, in the table's order."""
    split = (re.split(r"\s{2,}", line.strip()) for line in table.splitlines())
    return {name: rest for name, *rest in split if len(rest) == 6 and rest[-1].isdecimal()}


def calls(table: str, name: str) -> int:
    return int(rows(table)[name][-1])


def test_the_table_and_the_trace_are_kept_and_the_top_is_printed(command: Command, tmp_path: Path) -> None:
    ended = command(*SMALL, "--steps", 2)
    assert ended.code == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-digits-backprop-plain", folder.name)
    assert ended.out.splitlines()[-2:] == [str(folder / "table.txt"), str(folder / "trace.json")]
    table = (folder / "table.txt").read_text()
    whole, shown = list(rows(table)), list(rows(ended.out))
    assert shown == whole[: len(shown)]
    assert 10 < len(shown) < len(whole)
    percents = [float(rest[0].removesuffix("%")) for rest in rows(table).values()]
    assert percents == sorted(percents, reverse=True)
    assert (calls(table, "training step"), calls(table, "evaluation")) == (2, 1)
    assert calls(table, "aten::convolution_backward") == 2 * 3
    trace = json.loads((folder / "trace.json").read_text())
    names = [event.get("name") for event in trace["traceEvents"] if event.get("cat") == "user_annotation"]
    assert [name for name in names if name in {"training step", "evaluation"}] == [
        *("training step", "training step", "evaluation")
    ]


def test_an_epoch_s_steps_are_the_most(command: Command, tmp_path: Path) -> None:
    assert command(*SMALL, "--steps", 1000).code == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert calls((folder / "table.txt").read_text(), "training step") == 3


def test_the_steps_are_those_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same start, images and random numbers: the same losses."""
    losses: list[float] = []
    train_step = BackpropPlain.train_step

    def recorded(self: BackpropPlain, x: Tensor, y: Tensor) -> Tensor:
        loss = train_step(self, x, y)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(BackpropPlain, "train_step", recorded)
    cell = planned()
    profile.profile_cell(cell, 3, None)
    profiled = losses[-3:]
    losses.clear()
    dataset = datasets.get(cell.dataset)
    splits = datasets.make_splits(dataset.load(None), num_classes=10, train_size=30, split_seed=0)
    data = DeviceData.place(splits, torch.device("cpu"))
    method = MethodBuilder.on(data, splits.record, cell.method_name, cell.config, cell.seed).make()
    order = torch.Generator().manual_seed(seed_of(cell.seed, Stream.ORDER))
    train_epoch(method, data, 10, order, lambda *told: None)
    assert profiled == losses
    assert len(set(losses)) == 3


def planned() -> PlannedCell:
    (cell,) = make_plan(
        methods="backprop-plain",
        datasets=("digits",),
        preset="standard",
        seeds=(0,),
        epochs=1,
        batch_size=10,
        train_size=30,
        device="cpu",
        threads=1,
        data_dir=None,
    )
    return cell


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--method", "nope", "unknown method 'nope'"),
        ("--method", "all", "'all' is more than one method"),
        ("--method", "noprop,backprop", "'noprop,backprop' is more than one method"),
        ("--method", "noprop[T=0]", "from 1 to 1,000"),
        ("--dataset", "nope", "'nope'"),
        ("--steps", "0", "from 1 to 1000"),
        ("--preset", "nope", "'quick', 'standard', 'paper'"),
        ("--device", "cuda", "use cpu or auto"),
        ("--batch-size", "1", "from 2 to 2147483647"),
        ("--train-size", "9", "at least 10"),
        ("--step", "3", "--steps"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(
    option: str, value: str, said: str, command: Command, tmp_path: Path
) -> None:
    refused(command(option, value), said)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    refused(command(*SMALL), "cannot make the folder")


def refused(ended: Ended, said: str) -> None:
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", ended.err)
    assert said in ended.err
