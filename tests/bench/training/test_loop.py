"""The training loop and the evaluation, against methods with known answers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from bench.datasets.split import Splits
from bench.training import loop
from bench.training.loop import (
    DeviceData,
    TrainingError,
    accuracy,
    batch_count,
    batches,
    check_loss,
    draw_order,
    evaluate,
    train_epoch,
)
from tests.bench.stubs import Recorder, make_data, make_part, recorder
from tests.factories import make_data as make_record


def quiet(images: int, loss: float, rate: float) -> None:
    pass


def train_for(method: Recorder, epochs: int, data: DeviceData, batch_size: int = 4, seed: int = 0) -> Recorder:
    order = Generator().manual_seed(seed)
    for _ in range(epochs):
        train_epoch(method, data, batch_size, order, quiet)
    return method


class Gambler(Recorder):
    """Another method: other randomness at every step."""

    draws = 1000


def test_two_methods_get_the_same_batches_at_the_same_seed() -> None:
    one, other = (train_for(recorder(cls), 3, make_data(), seed=7) for cls in (Recorder, Gambler))
    assert one.seen == other.seen
    assert one.labels == other.labels


def test_other_seed_and_other_epoch_have_another_order() -> None:
    one, other = (train_for(recorder(), 3, make_data(20), seed=seed).seen for seed in (7, 8))
    assert one != other
    epochs = [one[start : start + 5] for start in (0, 5, 10)]
    assert all(first != second for first, second in pairwise(epochs))


def test_labels_go_with_their_images() -> None:
    method = train_for(recorder(), 2, make_data())
    assert method.labels == [[number % 3 for number in batch] for batch in method.seen]


@settings(derandomize=True, max_examples=50, deadline=None)
@given(images=st.integers(1, 60), batch_size=st.integers(2, 70), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_shows_each_image_at_most_once_in_full_batches(images: int, batch_size: int, seed: int) -> None:
    shown = [y for x, y in numbered(images, batch_size, seed)]
    if images < batch_size:
        assert [len(batch) for batch in shown] == [images]
    else:
        assert [len(batch) for batch in shown] == [batch_size] * (images // batch_size)
    assert len(shown) == batch_count(images, batch_size)
    assert max(Counter(number for batch in shown for number in batch).values()) == 1


def numbered(images: int, batch_size: int, seed: int) -> list[tuple[Tensor, list[int]]]:
    part = make_part(images)
    generator = Generator().manual_seed(seed)
    return [(x, x[:, 0, 0, 0].tolist()) for x, _ in batches(part, batch_size, draw_order(part, generator))]


def test_what_one_epoch_leaves_out_comes_in_another() -> None:
    method = train_for(recorder(), 20, make_data(train=7), batch_size=4)
    assert {number for batch in method.seen for number in batch} == set(range(7))


class Uneven(Recorder):
    losses = (1.0, 2.0, 6.0)


def test_loss_is_the_mean_over_images() -> None:
    epoch = train_epoch(recorder(Uneven), make_data(train=14), 4, Generator().manual_seed(0), quiet)
    assert epoch.loss == pytest.approx(3.0)
    assert epoch.images == 12
    assert epoch.seconds > 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_loss_that_is_no_number_stops_training(bad: float) -> None:
    class Diverging(Recorder):
        losses = (1.0, bad, 1.0)

    with pytest.raises(TrainingError, match=f"the loss is {bad}"):
        train_for(recorder(Diverging), 1, make_data())


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_PROGRESS_EVERY_SECONDS", 0.0)
    told: list[tuple[int, float]] = []

    def listen(images: int, loss: float, rate: float) -> None:
        assert rate > 0
        told.append((images, loss))

    train_epoch(recorder(Uneven), make_data(train=12), 4, Generator(), listen)
    assert told == [(4, 1.0), (8, 1.5), (12, 3.0)]


class InParts(Recorder):
    """Goes through each epoch's batches twice, and says at which pass a batch came."""

    losses = (1.0, 2.0)
    num_passes = 2

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[int] = []
        self.number = -1

    def start_pass(self, number: int) -> None:
        self.number = number

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        self.passes.append(self.number)
        return super().train_step(x, y)


def test_every_pass_sees_the_epoch_s_batches_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passes' losses add up; an image counts once."""
    monkeypatch.setattr(loop, "_PROGRESS_EVERY_SECONDS", 0.0)
    told: list[int] = []
    method = recorder(InParts)
    order = Generator().manual_seed(0)
    for _ in range(2):
        epoch = train_epoch(method, make_data(train=9), 4, order, lambda images, loss, rate: told.append(images))
    assert method.passes == [0, 0, 1, 1] * 2
    assert method.seen[:2] == method.seen[2:4] != method.seen[4:6] == method.seen[6:]
    assert (epoch.images, epoch.loss) == (8, pytest.approx(3.0))
    assert told == [2, 4, 6, 8] * 2


def test_modes() -> None:
    method = recorder()
    method.eval()
    train_for(method, 1, make_data())
    assert set(method.modes) == {True}
    evaluate(method, make_data(), make_part(5), 4, seed=0)
    assert not method.training


@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_accuracy(batch_size: int) -> None:
    """Of the numbers 0..9, 0, 4 and 8 are answered wrongly; every image is asked once, the last batch included."""
    method = recorder()
    right = evaluate(method, make_data(), make_part(10), batch_size, seed=0)
    assert right.tolist() == [number % 4 != 0 for number in range(10)]
    assert accuracy(right) == 0.7
    assert [number for batch in method.predicted for number in batch] == list(range(10))


class Noisy(Recorder):
    """Predicts by the generator alone."""

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        assert not torch.is_grad_enabled()
        return torch.rand(len(x), 3, generator=generator)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (torch.zeros(1, 3), r"returned shape \(1, 3\); expected \(4, 3\)"),  # one answer would count for all
        (torch.zeros(4, 3, 1), r"shape \(4, 3, 1\)"),
        (torch.zeros(4), r"shape \(4,\)"),
        (torch.tensor([[0.0, 1.0, torch.nan]] * 4), "predictions of 4 of 4 images are NaN"),
    ],
)
def test_predictions_that_are_none_are_no_accuracy(predicted: Tensor, message: str) -> None:
    class Odd(Recorder):
        def predict(self, x: Tensor, generator: Generator) -> Tensor:
            return predicted

    with pytest.raises(TrainingError, match=message):
        evaluate(recorder(Odd), make_data(), make_part(4), 4, seed=0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (None, "returned a NoneType"),
        (torch.zeros(2), r"returned shape \(2,\)"),
        (torch.zeros((), requires_grad=True), r"shape \(\) with a graph; .* detached"),
    ],
)
def test_a_loss_is_a_scalar_without_a_graph(loss: Tensor, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        check_loss(loss)


def test_evaluation_is_the_same_each_time_and_leaves_training_s_randomness_alone() -> None:
    method, data = recorder(Noisy), make_data(val=50)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = evaluate(method, data, data.val, 8, seed=3)
    assert torch.equal(evaluate(method, data, data.val, 8, seed=3), first)
    assert len({accuracy(evaluate(method, data, data.val, 8, seed=seed)) for seed in range(10)}) > 1
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluating_between_epochs_changes_nothing_in_training() -> None:
    def trained(*, evaluating: bool) -> tuple[list[list[int]], Tensor]:
        torch.manual_seed(0)
        method, data, order = recorder(Noisy), make_data(), Generator().manual_seed(0)
        for _ in range(3):
            train_epoch(method, data, 4, order, quiet)
            if evaluating:
                evaluate(method, data, data.val, 4, seed=0)
        return method.seen, torch.rand(1)

    assert trained(evaluating=True) == trained(evaluating=False)


def test_images_are_normalised_by_channel() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 1, 1).contiguous()
    labels = torch.arange(3)
    splits = Splits(*(pixels, labels) * 3, mean=(0.2, 0.5), std=(0.4, 0.25), record=make_record())
    data = DeviceData.place(splits, torch.device("cpu"))
    images = data.images(data.train.x)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images[:, :, 0, 0], torch.tensor([[-0.5, -2.0], [0.0, -1.2], [2.0, 2.0]]))
    assert data.train.x[1, 0, 0, 0] == 51  # the stored images are as before
