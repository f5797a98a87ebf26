"""Predictive coding: inference descends on the energy, everything is local, and its limit is backpropagation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import methods
from tests.methods.helpers import batch, build, hidden_layers


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def activities(method: Any, x: Tensor) -> list[Tensor]:
    """Those that every layer predicts: where inference starts."""
    with torch.no_grad():
        return method.layer_outputs(x)[0]


def energy(method: Any, found: list[Tensor], x: Tensor, y: Tensor) -> float:
    return float(sum(method.energies(found, x, y)).detach())


def descend(method: Any, found: list[Tensor], x: Tensor, y: Tensor) -> None:
    """One step of inference, in place."""
    for h, gradient in zip(found, method.slope(found, x, y)[1], strict=True):
        h -= method.options.step_size * gradient


def weight_gradients(method: Any, found: list[Tensor], x: Tensor, y: Tensor) -> list[list[Tensor]]:
    """The gradients of the energy with the given activities for each hidden layer, then for the head."""
    method.zero_grad()
    sum(method.energies(found, x, y)).backward()
    return [[p.grad.clone() for p in layer] for layer in [*hidden_layers(method), list(method.head.parameters())]]


@pytest.mark.parametrize("loss", ["se", "ce"])
def test_every_step_of_inference_lowers_the_energy(loss: str) -> None:
    method, (x, y) = build("predictive-coding", loss=loss), batch()
    found = activities(method, x)
    energies = [energy(method, found, x, y)]
    for _ in range(20):
        descend(method, found, x, y)
        energies.append(energy(method, found, x, y))
    assert all(after < before for before, after in pairwise(energies))
    assert energies[-1] < 0.95 * energies[0]


@pytest.mark.usefixtures("double")
def test_a_step_of_inference_follows_the_energy_s_gradient_for_each_image() -> None:
    """All activities at once, an image's step not depending on the size of its batch."""
    method, (x, y) = build("predictive-coding", step_size=0.2), batch(6)
    x = x.double()
    start = [h + 0.1 * torch.randn_like(h) for h in activities(method, x)]
    free = [h.clone().requires_grad_() for h in start]
    total = sum(
        0.5 * (h - layer(below)).square().sum()
        for h, layer, below in zip(free, method.layers, [x, *free[:-1]], strict=True)
    )
    total = total + 0.5 * (method.head(free[-1]) - F.one_hot(y, 10)).square().sum()
    moved = [h.clone() for h in start]
    descend(method, moved, x, y)
    for h, before, gradient in zip(moved, start, torch.autograd.grad(total, free), strict=True):
        torch.testing.assert_close(h, before - 0.2 * gradient)
    alone = [h[:1].clone() for h in start]
    descend(method, alone, x[:1], y[:1])
    for one, of_many in zip(alone, moved, strict=True):
        torch.testing.assert_close(one, of_many[:1])


def test_an_error_moves_one_layer_down_with_each_step() -> None:
    method, (x, y) = build("predictive-coding"), batch()
    start = activities(method, x)
    found = [h.clone() for h in start]
    for step in range(1, len(start) + 1):
        descend(method, found, x, y)
        moved = [not torch.allclose(*pair, rtol=0, atol=1e-6) for pair in zip(found, start, strict=True)]
        assert not any(moved[: len(start) - step])
        assert moved[-1]


def test_steps_that_raise_the_energy_are_taken_back_and_shortened_and_recover() -> None:
    method, (x, y) = build("predictive-coding", step_size=0.3, inference_steps=8), batch()
    assert energy(method, method.infer(x, y), x, y) < energy(method, activities(method, x), x, y)
    assert float(method.step) == pytest.approx(0.3)  # no step was too long
    with torch.no_grad():
        method.head.weight *= 10  # steps overshoot by this
    start = activities(method, x)
    jumped = [h.clone() for h in start]
    for _ in range(8):
        descend(method, jumped, x, y)
    assert energy(method, jumped, x, y) > energy(method, start, x, y)
    for _ in range(5):
        found = method.infer(x, y)
    assert energy(method, found, x, y) < energy(method, start, x, y)
    shortened = float(method.step)
    assert shortened < 0.15
    with torch.no_grad():
        method.head.weight /= 10
    method.infer(x, y)
    assert float(method.step) == pytest.approx(1.01 * shortened)


def test_a_layer_learns_from_the_activities_next_to_it_alone() -> None:
    method, (x, y) = build("predictive-coding"), batch()
    found = method.infer(x, y)
    before = weight_gradients(method, found, x, y)
    for changed in range(len(found)):
        other = [h.clone() for h in found]
        other[changed] += 1.0
        after = weight_gradients(method, other, x, y)
        for layer, (old, new) in enumerate(zip(before, after, strict=True)):
            touched = layer in (changed, changed + 1)  # layer l predicts activity l from activity l - 1
            assert all(torch.equal(*pair) for pair in zip(old, new, strict=True)) != touched


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("loss", ["se", "ce"])
def test_with_a_small_output_error_the_equilibrium_has_the_gradients_of_backpropagation(loss: str) -> None:
    x, y = batch(16)
    x, beta = x.double(), 1e-4
    method = build("predictive-coding", loss=loss, beta=beta, inference_steps=80, step_size=0.4)
    ours = weight_gradients(method, method.infer(x, y), x, y)
    method.zero_grad()
    h = x
    for layer in method.layers:
        h = layer(h)
    logits = method.head(h)
    error = (logits - F.one_hot(y, 10)).square().sum(dim=1).mean() / 2
    (F.cross_entropy(logits, y) if loss == "ce" else error).backward()
    true = [[p.grad for p in layer] for layer in [*hidden_layers(method), list(method.head.parameters())]]
    for found, expected in zip(ours, true, strict=True):
        for gradient, wanted in zip(found, expected, strict=True):
            assert float((gradient / beta - wanted).norm()) < 0.01 * float(wanted.norm())


@pytest.mark.parametrize("values", [{"inference_steps": "3"}, {"step_size": "1.5"}, {"beta": "0"}], ids=str)
def test_options_out_of_range(values: dict[str, str]) -> None:
    with pytest.raises(methods.MethodError, match=next(iter(values))):
        methods.get("predictive-coding").Options.parse(values)
