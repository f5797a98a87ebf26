"""The FLOP meter against counting by hand, and what the methods' own steps come to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.autograd import Function
from torch.utils.flop_counter import FlopCounterMode
from torchdiffeq import odeint, odeint_adjoint

import methods
from bench.meters.flops import FlopMeter
from methods.networks import layers
from methods.networks.layers import Linear, onednn_has_avx512
from tests.methods.helpers import batch, build

IMAGES = 4


def test_counting_does_not_import_the_compiler() -> None:
    """Which would take a second or two in every cell that counts and does not need it."""
    count = (
        "import sys; from bench.meters.flops import FlopMeter; from bench.training.optimizers import OPTIMIZERS\n"
        "from tests.methods.helpers import batch, build\n"
        "method = build('backprop', T=2, make_optimizer=OPTIMIZERS['AdamW'])\n"
        "with FlopMeter() as meter: method.train_step(*batch(4))\n"
        "print(meter.flops > 0, 'torch._dynamo' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False"]


def test_a_linear_layer_by_hand() -> None:
    layer, x = nn.Linear(20, 30), torch.randn(4, 20)
    product = 2 * 4 * 20 * 30
    with FlopMeter() as meter:
        y = layer(x)
        assert meter.flops == product
        y.sum().backward()
    assert meter.flops == 2 * product  # the gradient of the weights; the input asks for none
    with FlopMeter() as meter:
        layer(x.requires_grad_()).sum().backward()
    assert meter.flops == 3 * product


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN")
def test_a_linear_layer_of_onednn_by_hand() -> None:
    with FlopMeter() as meter:
        torch.ops.mkldnn._linear_pointwise(torch.randn(4, 20), torch.randn(30, 20), None, "none", [], "")
    assert meter.flops == 2 * 4 * 20 * 30


def test_the_first_wide_layer_is_counted_as_the_second() -> None:
    """The trial of oneDNN that comes before it is not."""
    layer, x = Linear(64, 64), torch.randn(4, 64)
    onednn_has_avx512.cache_clear()
    counts = []
    for _ in range(2):
        with FlopMeter() as meter:
            layer(x)
        counts.append(meter.flops)
    assert counts == [2 * 4 * 64 * 64] * 2


def test_a_convolution_and_a_linear_layer_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, stride=2), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten())
    network.append(nn.Linear(5 * 4 * 4, 7))
    convolution = 2 * IMAGES * (4 * 4) * 5 * (3 * 3 * 3)
    linear = 2 * IMAGES * (5 * 4 * 4) * 7
    with FlopMeter() as meter:
        y = network(torch.randn(IMAGES, 3, 8, 8))
        assert meter.flops == convolution + linear
        y.sum().backward()
    assert meter.flops == 2 * convolution + 3 * linear


def test_what_works_element_by_element_is_not_counted() -> None:
    layer = nn.BatchNorm1d(20)
    optimizer = torch.optim.AdamW(layer.parameters())
    with FlopMeter() as meter:
        layer(torch.randn(4, 20)).exp().sum().backward()
        optimizer.step()
    assert meter.flops == 0


class Doubled(Function):
    """x times w; the backward pass works x @ w out again, as checkpointing does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, w = ctx.saved_tensors
        (x @ w).sum()
        return grad @ w.T, x.T @ grad


def test_a_function_with_a_backward_pass_of_its_own_is_seen_inside() -> None:
    x, w = torch.randn(4, 20, requires_grad=True), torch.randn(20, 30, requires_grad=True)
    with FlopMeter() as meter:
        Doubled.apply(x, w).sum().backward()
    assert meter.flops == 4 * 2 * 4 * 20 * 30


def test_functional_calls_are_seen_inside() -> None:
    layer, x = nn.Linear(20, 30), torch.randn(4, 20)
    parameters = dict(layer.named_parameters())

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(layer, parameters, (x,))
        return output.sum()

    with FlopMeter() as meter:
        torch.func.grad(loss)(parameters)
    assert meter.flops == 2 * 2 * 4 * 20 * 30


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_operators_made_of_others_are_taken_apart(mode: Any) -> None:
    layer, x = nn.Linear(20, 30), torch.randn(4, 20)
    with mode(), FlopMeter() as meter:
        layer(x)
        torch.einsum("ij,kj->ik", x, layer.weight)
    assert meter.flops == 2 * 2 * 4 * 20 * 30


def test_counting_changes_no_result() -> None:
    losses = []
    for counted in (False, True):
        method = build("noprop", seed=2, T=2)
        method.train()
        torch.manual_seed(2)
        if counted:
            with FlopMeter():
                losses.append(float(method.train_step(*batch())))
        else:
            losses.append(float(method.train_step(*batch())))
        losses.append(float(method.train_step(*batch())))
    assert losses[:2] == losses[2:]


def of_training(name: str, **options: object) -> int:
    method = build(name, **options)
    method.train()
    with FlopMeter() as meter:
        method.train_step(*batch(IMAGES))
    return meter.flops


def of_prediction(name: str, **options: object) -> int:
    method = build(name, **options)
    method.eval()
    with FlopMeter() as meter:
        method.predict(batch(IMAGES)[0], Generator().manual_seed(0))
    return meter.flops


@pytest.mark.parametrize("name", sorted(methods.available()))
def test_every_method_is_counted_and_as_pytorch_counts_it_where_that_can(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = methods.get(name).Options.parse({}).as_dict()
    small = {"T": 2, "steps": 2, "micro_batches": 2}
    options: dict[str, object] = {option: value for option, value in small.items() if option in known}
    if name in ("adjoint", "predictive-coding"):  # which call autograd.grad
        assert of_training(name, **options) > of_prediction(name, **options) > 0
        return
    method = build(name, **options)
    method.train()
    with monkeypatch.context() as patch, FlopCounterMode(display=False) as theirs:
        patch.setattr(layers, "onednn_has_avx512", lambda: False)  # PyTorch does not count its linear layers
        method.train_step(*batch(IMAGES))
    assert of_training(name, **options) == theirs.get_total_flops() > of_prediction(name, **options) / 10 > 0


def test_checkpointing_costs_one_more_forward_pass() -> None:
    more = of_training("backprop-checkpoint", T=4) - of_training("backprop", T=4)
    assert more == pytest.approx(of_prediction("backprop", T=4), rel=0.001)


def test_training_twice_the_blocks_costs_twice_as_much() -> None:
    assert of_training("noprop", T=20) == pytest.approx(2 * of_training("noprop", T=10), rel=0.001)
    assert of_training("noprop") == pytest.approx(of_training("backprop"), rel=0.01)


def test_the_adjoint_costs_one_more_evaluation_a_step_than_backpropagation_through_the_solver() -> None:
    def step(solver: Any) -> float:
        """Between four steps and two, for each of the two: the image path and the head drop out."""
        counts = []
        for steps in (2, 4):
            method = build("adjoint", steps=steps, solver="euler")
            features, z = torch.randn(IMAGES, 256, requires_grad=True), torch.randn(IMAGES, 10)
            with FlopMeter() as meter:
                F.cross_entropy(method.head(method.follow(features, z, solver)), batch(IMAGES)[1]).backward()
            counts.append(meter.flops)
        return (counts[1] - counts[0]) / 2

    forward = (
        of_prediction("adjoint", steps=4, solver="euler") - of_prediction("adjoint", steps=2, solver="euler")
    ) / 2
    assert step(odeint_adjoint) == pytest.approx(step(odeint) + forward, rel=0.02)
