"""A whole cell in this process, with a method and data whose answers are known."""

from __future__ import annotations

import errno
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

import methods
from bench import datasets
from bench.children.protocol import EpochEvent, Event, Job, StepEvent, WarningEvent
from bench.datasets import Dataset, RawData
from bench.meters import rss
from bench.meters.flops import FlopMeter
from bench.models import ModelCard
from bench.training import evaluation, loop, probes, targets
from bench.training.cell import run_cell
from bench.training.loop import DeviceData, Part, TrainingError
from bench.training.rng import Stream, seed_of
from bench.training.targets import images_to_targets, seconds_to_targets
from methods.core.method import TaskShape
from methods.core.options import Options
from results.answers import unpack
from results.schema import CellResult, EpochRecord
from tests.bench.stubs import Recorder
from tests.factories import make_cell, make_config, make_environment, make_run

FIRST_TEST_IMAGE = 200
BATCH = 24


def load(data_dir: object) -> RawData:
    """80 training images, 40 of class 0 and 20 each of 1 and 2, test 6 and 2 and 2; image i is the number i."""

    def part(start: int, counts: tuple[int, int, int]) -> tuple[Any, Any]:
        numbers = np.arange(start, start + sum(counts), dtype=np.uint8).reshape(-1, 1, 1, 1)
        return np.tile(numbers, (1, 1, 2, 2)), np.repeat(np.arange(3), counts)

    return RawData(
        *part(0, (40, 20, 20)), *part(FIRST_TEST_IMAGE, (6, 2, 2)), "made here", verified=None, partial=False
    )


class Fading(Recorder):
    """Answers 0 after the first epoch, 1 from the second on: right for half the validation images, then a quarter."""

    epoch_definition = "one pass that makes it worse"
    credit = "backwards"
    built: ClassVar[list[Fading]] = []
    initial_draws = 0

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        self.first_weight = self.weight.detach().clone()
        torch.rand(self.initial_draws)
        self.noise: list[float] = []
        self.exact: list[list[float]] = []
        Fading.built.append(self)

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        self.noise.append(float(torch.rand(())))
        self.exact.append(x[:, 0, 0, 0].tolist())
        return super().train_step(x, y)

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        answer = 0 if len(self.seen) <= 3 else 1
        return nn.functional.one_hot(torch.full((len(x),), answer), 3).float()


class LateStarter(Fading):
    """The same, but its constructor takes other random numbers."""

    initial_draws = 1000


class Counted(Recorder):
    """Knows how many of its kind are alive."""

    epoch_definition = "one pass"
    alive: ClassVar[weakref.WeakSet[Counted]] = weakref.WeakSet()

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        Counted.alive.add(self)


@dataclass(frozen=True)
class DepthOptions(Options):
    T: int = 2

    def __post_init__(self) -> None:
        self.require(self.T <= 6, "T", "at most 6")


class Shallow(Fading):
    """Takes depths up to 6 only."""

    Options = DepthOptions


class Diverging(Fading):
    losses = (1.0, float("nan"))


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {cls.__name__: cls for cls in (Fading, LateStarter, Counted, Shallow, Diverging, Multiplying)}
    numbers = Dataset("numbers", "numbers", ("a", "b", "c"), load, {"quick": 1, "standard": 1, "paper": 1})
    monkeypatch.setattr(methods, "get", found.__getitem__)
    monkeypatch.setattr(datasets, "get", {"numbers": numbers}.__getitem__)
    monkeypatch.setattr(Fading, "built", [])


def run(
    method: str = "Fading",
    seed: int = 5,
    save_in: Path | None = None,
    *,
    trial: bool = False,
    probed: dict[str, Any] | None = None,
    **config: Any,
) -> tuple[CellResult, list[Event]]:
    values = {"batch_size": BATCH, "epochs": 2, "threads": torch.get_num_threads(), "options": {}}
    values |= {"optimizer": "AdamW"} | config
    planned = make_run([make_cell(method, "numbers", seed, config=make_config(**values))]).cells[0]
    events: list[Event] = []
    folder = None if save_in is None else str(save_in)
    job = Job(
        run_id="the run",
        cell=planned,
        data_dir=None,
        save_in=folder,
        probed=probed or {},
        environment=make_environment(),
        trial=trial,
    )
    return run_cell(job, events.append), events


def trained() -> Fading:
    """The one that is measured: the second built, after the one that warms up."""
    return Fading.built[1]


def test_says_what_it_is() -> None:
    result, _ = run()
    assert result.key == ("numbers", "Fading", 5)
    assert (result.status, result.run_id, result.error) == ("ok", "the run", None)
    assert result.epoch_definition == "one pass that makes it worse"
    assert result.credit == "backwards"
    assert CellResult.model_validate_json(result.model_dump_json()) == result


def test_accuracy_is_that_of_the_last_epoch_not_the_best() -> None:
    result, _ = run()
    assert [(epoch.val_accuracy, epoch.test_accuracy) for epoch in result.epochs] == [(0.5, 0.6), (0.25, 0.2)]
    assert (result.val_accuracy, result.test_accuracy) == (0.25, 0.2)
    assert result.test_class_accuracies == [0.0, 1.0, 0.0]
    assert result.test_balanced_accuracy == pytest.approx(1 / 3)
    assert result.test_accuracy_at_best_val == 0.6
    assert result.val_correct is not None
    assert result.test_correct is not None
    assert (unpack(result.val_correct, 8).mean(), unpack(result.test_correct, 10).mean()) == (0.25, 0.2)


def test_trains_on_training_images_alone() -> None:
    """Neither validation nor test images reach a training step, in warm-up and probes neither."""
    result, _ = run()
    assert result.data is not None
    held_out = result.data.n_val
    assert (result.data.n_train, held_out, result.data.n_test) == (72, 8, 10)
    (mean,), (std,) = result.data.mean, result.data.std
    seen = {round((x * std + mean) * 255) for method in Fading.built for batch in method.exact for x in batch}
    assert max(seen) < 80
    assert len(seen) == 72


def test_a_trial_trains_as_a_cell_does_and_looks_at_no_test_image(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = run()
    noise = trained().noise
    looked_at: list[list[int]] = []

    def evaluate(method: Any, data: DeviceData, part: Part, batch_size: int, seed: int) -> Tensor:
        looked_at.append(part.x[:, 0, 0, 0].tolist())
        return loop.evaluate(method, data, part, batch_size, seed)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    Fading.built.clear()
    trial, _ = run(trial=True)
    assert (trial.status, trial.val_accuracy, trial.test_accuracy) == ("ok", whole.val_accuracy, None)
    assert trained().noise == noise
    assert len(looked_at) == 2
    assert all(number < FIRST_TEST_IMAGE for part in looked_at for number in part)
    assert len(Fading.built) == 2  # none for probes


def test_model_measured_is_fresh() -> None:
    """The warm-up's steps are another model's; the probes come after."""
    run()
    warmed, measured, *_ = Fading.built
    assert len(warmed.seen) == 2
    assert len(measured.seen) == 2 * 3
    assert torch.equal(warmed.first_weight, measured.first_weight)
    torch.manual_seed(seed_of(5, Stream.INITIALISATION))
    assert torch.equal(measured.first_weight, torch.rand(3))


def test_memory_is_read_without_the_warm_up_s_model_and_before_the_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    def read() -> int:
        alive.append(len(Counted.alive))
        return 1

    monkeypatch.setattr(rss, "current_rss", read)
    monkeypatch.setattr(rss, "peak_rss", read)
    run("Counted")
    assert alive == [0, 1]


def test_same_batches_and_same_noise_for_every_method() -> None:
    """However many random numbers a constructor takes."""
    run("Fading")
    one = trained()
    Fading.built.clear()
    run("LateStarter")
    assert trained().labels == one.labels
    assert trained().exact == one.exact
    assert trained().noise == one.noise


def test_another_seed_has_other_batches_and_noise_but_the_same_data() -> None:
    first, _ = run(seed=5)
    one = trained()
    Fading.built.clear()
    second, _ = run(seed=6)
    assert trained().exact != one.exact
    assert trained().noise != one.noise
    assert first.data == second.data


def test_numbers_agree_with_each_other() -> None:
    result, _ = run()
    assert result.train_seconds == sum(epoch.train_seconds for epoch in result.epochs)
    assert result.eval_seconds == sum(epoch.eval_seconds for epoch in result.epochs)
    assert result.images_per_second == pytest.approx(2 * 72 / result.train_seconds)
    assert result.peak_rss_bytes is not None
    assert result.baseline_rss_bytes is not None
    assert result.rss_rise_bytes == max(0, result.peak_rss_bytes - result.baseline_rss_bytes)
    assert result.parameters == 3
    assert result.parameter_bytes == 12
    assert result.optimizer_bytes == 12 + 12 + 4  # AdamW: two moments and a step count
    assert result.gpu_peak_allocated_bytes is None


def test_says_how_it_is_getting_on() -> None:
    _, events = run()
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert {event.images_total for event in steps} == {2 * 72}
    assert steps[-1].images == 2 * 72
    assert [(event.epoch, event.val_accuracy) for event in events if isinstance(event, EpochEvent)] == [
        (1, 0.5),
        (2, 0.25),
    ]


def test_what_the_last_batch_leaves_out_is_not_counted() -> None:
    result, events = run(batch_size=50)
    assert {event.images_total for event in events if isinstance(event, StepEvent)} == {2 * 50}
    assert result.images_per_second == pytest.approx(2 * 50 / (result.train_seconds or 0))


def test_the_model_saved_is_the_one_measured(tmp_path: Path) -> None:
    result, _ = run(save_in=tmp_path)
    assert result.model_file == f"models/{next((tmp_path / 'models').iterdir()).name}"
    state = load_file(tmp_path / result.model_file)
    assert torch.equal(state["weight"], trained().weight)
    with safe_open(tmp_path / result.model_file, framework="pt") as file:
        card = ModelCard.model_validate_json(file.metadata()["noprop-bench"])
    assert (card.dataset, card.method_name, card.seed, card.epochs) == ("numbers", "Fading", 5, 2)
    assert (card.class_names, card.val_accuracy, card.test_accuracy) == (["a", "b", "c"], 0.25, 0.2)
    assert result.data is not None
    assert (tuple(card.mean), tuple(card.std)) == (result.data.mean, result.data.std)


def test_no_model_is_saved_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result, _ = run()
    assert result.model_file is None
    assert list(tmp_path.iterdir()) == []


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("trouble", ["folder", "disk", "state"])
def test_a_model_that_cannot_be_saved_costs_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "folder":
        (tmp_path / "models").write_text("in the way")
    elif trouble == "disk":
        monkeypatch.setattr("os.fsync", full_disk)
    else:
        monkeypatch.setattr(Fading, "get_extra_state", lambda self: "no tensor", raising=False)
    result, events = run(save_in=tmp_path)
    assert (result.status, result.test_accuracy, result.model_file) == ("ok", 0.2, None)
    (warning,) = (event for event in events if isinstance(event, WarningEvent))
    assert warning.sentence.startswith("the model of numbers Fading seed 5 is not kept: ")
    assert "\n" not in warning.sentence
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".safetensors", ".part")] == []


def test_divergence_is_raised() -> None:
    with pytest.raises(TrainingError, match="the loss is nan"):
        run("Diverging")


def test_what_another_seed_has_counted_is_not_counted_again() -> None:
    known = {"activation_bytes": 7, "activation_bytes_by_T": {"5": 9}, "train_flops_per_image": 1.0}
    result, _ = run(probed=known)
    assert {name: getattr(result, name) for name in known} == known
    assert len(Fading.built) == 2


def test_depths_that_a_method_refuses_are_not_probed() -> None:
    result, _ = run("Shallow", options={"T": 2})
    assert list(result.activation_bytes_by_T) == ["5"]


def test_the_depth_that_a_cell_has_is_not_probed_again() -> None:
    other, _ = run("Shallow", options={"T": 2})
    built = len(Fading.built)
    own, _ = run("Shallow", options={"T": 5})
    assert len(Fading.built) - built == built - 1
    assert own.activation_bytes_by_T == {"5": own.activation_bytes} == other.activation_bytes_by_T


def test_no_depths_without_a_depth() -> None:
    result, _ = run()
    assert result.activation_bytes_by_T == {}
    assert result.activation_bytes is not None
    assert result.activation_bytes > 0


class Multiplying(Fading):
    """One matrix product a step: (batch, 4) times (4, 3), forward and for the matrix's gradient; two to predict."""

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        self.matrix = nn.Parameter(torch.rand(4, 3))

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        (x.flatten(1) @ self.matrix).sum().backward()  # type: ignore[no-untyped-call]
        return super().train_step(x, y)

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        return x.flatten(1) @ self.matrix + x.flatten(1) @ self.matrix


def test_flops_are_those_of_an_image() -> None:
    result, events = run("Multiplying")
    assert result.train_flops_per_image == 2 * (2 * 4 * 3)
    assert result.predict_flops_per_image == 2 * (2 * 4 * 3)
    assert not [event for event in events if isinstance(event, WarningEvent)]


def test_flops_that_cannot_be_counted_cost_no_result_and_the_memory_is_read_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []

    class Refusing(FlopMeter):
        def __enter__(self) -> FlopMeter:
            order.append("flops")
            raise NotImplementedError("no rule for\nthis operator")

    monkeypatch.setattr(probes, "FlopMeter", Refusing)
    monkeypatch.setattr(rss, "peak_rss", lambda: order.append("peak") or 1)
    result, events = run()
    assert (result.status, result.test_accuracy) == ("ok", 0.2)
    assert (result.train_flops_per_image, result.predict_flops_per_image) == (None, None)
    assert order == ["peak", "flops", "flops"]
    assert [event.sentence for event in events if isinstance(event, WarningEvent)] == [
        f"numbers Fading seed 5: the FLOPs of {what} are not counted: NotImplementedError: no rule for this operator"
        for what in ("training", "prediction")
    ]


def test_images_to_a_target_agree_with_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "ACCURACY_TARGETS", (0.25, 0.5, 0.9))
    result, _ = run(batch_size=50)
    assert result.images_to == {"0.25": 50, "0.50": 50, "0.90": None}
    assert result.seconds_to == {"0.25": result.epochs[0].train_seconds} | {
        "0.50": result.epochs[0].train_seconds,
        "0.90": None,
    }


@pytest.mark.parametrize(("every", "evaluated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5])])
def test_evaluation_on_a_schedule_changes_nothing_else(
    every: int, evaluated: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training, its clock and the accuracy at the end are those of a run that evaluates after every epoch."""
    monkeypatch.setattr(targets, "ACCURACY_TARGETS", (0.25,))
    whole, _ = run(epochs=5)
    usual = trained()
    Fading.built.clear()
    result, events = run(epochs=5, eval_every=every)
    assert [epoch.epoch for epoch in result.epochs] == evaluated
    assert [event.epoch for event in events if isinstance(event, EpochEvent)] == evaluated
    assert (result.test_accuracy, result.val_accuracy) == (whole.test_accuracy, whole.val_accuracy)
    assert result.epochs[-1].train_loss == whole.epochs[-1].train_loss
    assert (usual.exact, usual.noise) == (trained().exact, trained().noise)
    assert len(usual.noise) == 5 * 3
    assert result.train_seconds == pytest.approx(sum(epoch.train_seconds for epoch in result.epochs))
    assert result.images_per_second == pytest.approx(5 * 72 / result.train_seconds)
    assert result.images_to["0.25"] == 72 * evaluated[0]
    assert result.seconds_to["0.25"] == result.epochs[0].train_seconds


def test_what_it_took_to_reach_a_target() -> None:
    """By training up to the end of the epoch, by validation alone, and the first time counts."""
    accuracies = [(0.5, 0.99), (0.95, 0.99), (0.91, 0.99), (0.98, 0.99)]
    epochs = [
        EpochRecord(
            epoch=number, train_loss=1, val_accuracy=val, test_accuracy=test, train_seconds=2.5, eval_seconds=100
        )
        for number, (val, test) in enumerate(accuracies, start=1)
    ]
    assert seconds_to_targets(epochs) == {"0.90": 5.0, "0.95": 5.0, "0.97": 10.0, "0.98": 10.0, "0.99": None}
    assert images_to_targets(epochs, 100) == {"0.90": 200, "0.95": 200, "0.97": 400, "0.98": 400, "0.99": None}
