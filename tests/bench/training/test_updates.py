"""What every method's steps have in common: values of the optimiser, schedule, clipping, averages."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.training.build import MethodBuilder
from bench.training.updates import Updates, averaged
from methods.core.method import STACKED, Method, TaskShape, TrainingImages
from tests.bench.stubs import Recorder
from tests.factories import make_config
from tests.methods.helpers import batch, build

SMALL = TaskShape(1, 8, 8, 10)


def parameter(*gradient: float) -> nn.Parameter:
    p = nn.Parameter(torch.zeros(len(gradient)))
    p.grad = torch.tensor(gradient)
    return p


def test_optimizer_has_the_cell_s_values() -> None:
    config = make_config(optimizer="AdamW", lr=0.125, weight_decay=0.75)
    (group,) = Updates(config, steps=1).make(Recorder().parameters()).param_groups
    assert (group["lr"], group["weight_decay"]) == (0.125, 0.75)


def test_each_optimizer_clips_the_norm_of_all_its_parameters() -> None:
    updates = Updates(make_config(optimizer="Adam", clip=1.0), steps=1)
    first, second, other = parameter(3.0, 0.0), parameter(4.0), parameter(0.5)
    for parameters in ([first, second], [other]):
        updates.make(parameters).step()
    assert [float(p.grad.norm()) for p in (first, second, other) if p.grad is not None] == pytest.approx(
        [0.6, 0.8, 0.5]
    )
    assert updates.take_norms() == pytest.approx((0.5, 5.0))  # before clipping
    assert updates.take_norms() == (None, None)


def test_of_stacked_parameters_each_block_is_clipped_by_itself() -> None:
    updates = Updates(make_config(optimizer="Adam", clip=1.0), steps=1)
    stack = nn.Parameter(torch.zeros(2, 2))
    stack.grad = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    updates.make([{"params": [stack], STACKED: True}]).step()
    torch.testing.assert_close(stack.grad, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_without_clipping_every_fourth_step_is_measured() -> None:
    updates = Updates(make_config(optimizer="Adam"), steps=9)
    p = parameter(0.0)
    optimizer = updates.make([p])
    for number in range(9):
        p.grad = torch.tensor([float(number)])
        optimizer.step()
    assert updates.take_norms() == (4.0, 8.0)


def test_a_gradient_that_is_not_a_number_counts_as_infinite() -> None:
    updates = Updates(make_config(optimizer="Adam"), steps=1)
    updates.make([parameter(math.nan)]).step()
    assert updates.take_norms() == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("cosine", [0.5, 1, 1, *((1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3))]),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule: str, expected: list[float]) -> None:
    updates = Updates(make_config(optimizer="Adam", lr=0.25, lr_schedule=schedule, warmup_steps=2), steps=6)
    p = parameter(1.0)
    optimizer, seen = updates.make([p]), []
    for _ in range(6):
        optimizer.step()
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.25 * factor for factor in expected])


def made(**config: object) -> Method:
    updates = Updates(make_config(optimizer="AdamW", **config), steps=4)
    return build("backprop-plain", shape=SMALL, make_optimizer=updates.make)


def trained(method: Method, steps: int = 4) -> list[dict[str, Tensor]]:
    """The method's parameters after each step."""
    torch.manual_seed(1)
    method.train()
    after = []
    for seed in range(steps):
        method.train_step(*batch(16, SMALL, seed=seed))
        after.append({name: p.detach().clone() for name, p in method.named_parameters()})
    return after


def test_evaluation_is_with_averaged_weights_and_training_goes_on_with_its_own() -> None:
    method = made(ema=0.5)
    after = trained(method)
    expected = after[0]
    for step, value in enumerate(after[1:], start=2):
        decay = min(0.5, step / (9 + step))
        expected = {name: decay * expected[name] + (1 - decay) * value[name] for name in value}
    with averaged(method, for_good=False):
        for name, p in method.named_parameters():
            torch.testing.assert_close(p.detach(), expected[name])
    assert all(torch.equal(p, after[-1][name]) for name, p in method.named_parameters())
    plain = made()
    assert all(torch.equal(p, after[-1][name]) for name, p in trained(plain)[-1].items())
    with averaged(method, for_good=True):
        pass
    torch.testing.assert_close(dict(method.named_parameters()), expected)


def test_several_updates_a_batch_have_the_learning_rate_of_one() -> None:
    """A schedule goes down over batches, so it is not through before the training is."""
    name, (x, y) = "difference-target-propagation", batch()
    images = TrainingImages(lambda: (x, y), SMALL.num_classes)
    rates: list[list[float]] = []
    for inverse_steps in (1, 3):
        config = make_config(optimizer="Adam", lr=0.1, lr_schedule="cosine", options={"inverse_steps": inverse_steps})
        method = MethodBuilder(name, SMALL, config, 0, images, steps=5).make()
        (optimizer,) = method.optimizers()
        rates.append([])
        for _ in range(5):
            method.train_step(x, y)
            rates[-1].append(optimizer.param_groups[0]["lr"])
    assert rates[0] == rates[1] == sorted(rates[0], reverse=True)
    assert 0 < rates[0][-1] < 0.02
