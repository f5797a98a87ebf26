"""The activation meter against tensors of known size, and what the methods hold at different depths."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from bench.meters.activations import ActivationMeter
from tests.methods.helpers import batch, build

FLOATS = 1000


def test_a_known_tensor_is_counted_exactly() -> None:
    x = torch.randn(FLOATS, requires_grad=True)
    with ActivationMeter() as meter:
        y = x.detach().clone().requires_grad_().exp()  # exp saves its result
        assert meter.peak_bytes == 4 * FLOATS
        y.sum().backward()
    assert meter.peak_bytes == 4 * FLOATS


def test_saved_twice_counts_once_and_a_view_counts_as_its_storage() -> None:
    x = torch.randn(FLOATS, requires_grad=True)
    with ActivationMeter() as meter:
        y = x * x  # saves x as both factors
        assert meter.peak_bytes == 4 * FLOATS
        (y + x[:10].sum() * x[10:20].sum()).sum().backward()
    with ActivationMeter() as meter:
        (x[:10] * x[10:20]).sum().backward()
    assert meter.peak_bytes == 4 * FLOATS


def test_peak_is_of_what_is_held_together() -> None:
    """Two graphs one after the other peak at one; both at once at two."""

    def graph() -> Tensor:
        return torch.randn(FLOATS).requires_grad_().exp().sum()

    with ActivationMeter() as one_by_one:
        for _ in range(5):
            graph().backward()
    with ActivationMeter() as together:
        (graph() + graph()).backward()
    assert one_by_one.peak_bytes == 4 * FLOATS
    assert together.peak_bytes == 2 * 4 * FLOATS


def test_a_graph_that_is_dropped_is_no_longer_held() -> None:
    with ActivationMeter() as meter:
        torch.randn(FLOATS).requires_grad_().exp().sum()
        torch.randn(FLOATS).requires_grad_().exp().sum().backward()
    assert meter.peak_bytes == 4 * FLOATS


def test_parameters_do_not_count() -> None:
    layer = torch.nn.Linear(20, 30, bias=False)
    x = torch.randn(4, 20, requires_grad=True)
    with ActivationMeter(layer.parameters()) as meter:
        layer(x).sum().backward()
    assert meter.peak_bytes == 4 * 4 * 20


def test_parameters_that_move_do_not_count() -> None:
    """As with `low_memory`; a tensor at the former place would count."""
    layer = torch.nn.Linear(20, 30, bias=False)
    x = torch.randn(4, 20, requires_grad=True)
    with ActivationMeter(layer.parameters()) as meter:
        layer(x).sum().backward()
        former = layer.weight.data
        layer.weight.data = former.clone()
        layer(x).sum().backward()
        assert meter.peak_bytes == 4 * 4 * 20
        (x @ former.T).sum().backward()
    assert meter.peak_bytes == former.nbytes


def test_metering_changes_no_result() -> None:
    losses = []
    for metered in (False, True):
        method = build("backprop", seed=2, T=2)
        torch.manual_seed(2)
        if metered:
            with ActivationMeter(method.parameters(), method.buffers()):
                losses.append(float(method.train_step(*batch())))
        else:
            losses.append(float(method.train_step(*batch())))
        losses.append(float(method.train_step(*batch())))
    assert losses[:2] == losses[2:]


@cache
def _peak(name: str, T: int) -> int:
    method = build(name, T=T)
    method.train()
    x, y = batch(64)
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(x, y)
    return meter.peak_bytes


def test_how_activations_grow_with_depth() -> None:
    """The claim that the benchmark is about: NoProp's do not, backprop's do, and checkpointing is in between."""
    growth = {name: _peak(name, 20) / _peak(name, 5) for name in ("noprop", "backprop", "backprop-checkpoint")}
    assert growth["noprop"] == pytest.approx(1.0, abs=0.02)
    assert growth["backprop"] == pytest.approx(4.0, rel=0.05)
    assert growth["noprop"] < growth["backprop-checkpoint"] < growth["backprop"]
    assert _peak("noprop", 20) < _peak("backprop-checkpoint", 20) < _peak("backprop", 20) / 4


def test_checkpointing_is_seen_to_hold_the_block_it_computes_again() -> None:
    """The meter must see what is saved inside the backward pass: at least one whole block."""
    assert _peak("backprop-checkpoint", 5) > 0.9 * _peak("noprop", 5)
