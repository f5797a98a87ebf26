"""Counted operations against hand-counted ones, and against what methods are known to do more of."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Generator, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.meters.flops import count_flops
from tests.methods.helpers import batch, build

BATCH, IN, OUT = 5, 7, 3


def test_a_linear_layer_forward_and_backward() -> None:
    layer, x = nn.Linear(IN, OUT), torch.rand(BATCH, IN)
    product = 2 * BATCH * IN * OUT
    assert count_flops(lambda: layer(x)) == product
    assert count_flops(lambda: layer(x).sum().backward()) == 2 * product  # the weight's gradient; x needs none
    x.requires_grad_()
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * product


def test_a_convolution_forward_and_backward() -> None:
    layer, x = nn.Conv2d(2, 4, 3, padding=1), torch.rand(BATCH, 2, 6, 6)
    product = 2 * BATCH * (6 * 6) * (2 * 3 * 3) * 4
    assert count_flops(lambda: layer(x)) == product
    assert count_flops(lambda: layer(x).sum().backward()) == 2 * product


def test_as_pytorchs_own_counter_counts() -> None:
    """Where that can follow: it cannot where a step calls `torch.autograd.grad` inside a function of its own."""
    for name in ("noprop", "backprop", "noprop-ct", "backprop-cnn"):
        method = build(name).train()
        with FlopCounterMode(display=False) as theirs:
            method.train_step(*batch(16))
        assert theirs.get_total_flops() == step(name) > 0


def step(name: str, **options: object) -> int:
    method = build(name, **options).train()
    return count_flops(partial(method.train_step, *batch(16)))


def test_checkpointing_computes_the_blocks_once_more() -> None:
    method = build("backprop", T=4).eval()
    with torch.no_grad():
        forward = count_flops(lambda: method.predict(batch(16)[0], Generator().manual_seed(0)))
    once, again = step("backprop", T=4), step("backprop-checkpoint", T=4)
    assert again - once == pytest.approx(forward, rel=0.02)


def test_twice_the_blocks_are_twice_the_operations() -> None:
    assert step("noprop", T=8) / step("noprop", T=4) == pytest.approx(2, rel=0.01)


def test_through_a_solver_as_many_as_its_steps() -> None:
    """The adjoint method computes the network again on the way back, in functions of its own making."""
    two, four, six = (step("adjoint", steps=steps) for steps in (2, 4, 6))
    assert six - four == four - two > two / 2
