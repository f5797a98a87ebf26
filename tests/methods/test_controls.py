"""The controls on the side of backpropagation: an ensemble, deep supervision, micro-batches and a wide network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

import methods
from bench.meters.activations import ActivationMeter
from methods.backprop_wide import WideOptions, width_like_stack
from methods.core.method import Method, TaskShape
from methods.networks.layers import Dropout
from tests.methods.helpers import SHAPE, batch, build, plain_sgd, same, snapshot


def held(method: Method, x: Tensor, y: Tensor) -> int:
    """Bytes held for backward at the peak of one step."""
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(x, y)
    return meter.peak_bytes


@pytest.mark.parametrize("t", [1, 2, 3])
def test_a_member_trains_alone(t: int) -> None:
    """After member t's step no other member has a gradient, or a parameter or statistic that changed."""
    method = build("backprop-ensemble", T=3, make_optimizer=plain_sgd)
    before = [snapshot(member) for member in method.members]
    method._streams.next_step()
    method.train_members([t], *batch())
    for number, member in enumerate(method.members, start=1):
        assert same(before[number - 1], member) == (number != t)
        assert all(p.grad is None for p in member.parameters())


def test_the_ensemble_averages_probabilities_of_cnns() -> None:
    method = build("backprop-ensemble", T=3).eval()
    x, _ = batch(8)
    expected = torch.stack([member(x).softmax(dim=1) for member in method.members]).mean(dim=0)
    torch.testing.assert_close(method.predict(x, Generator()).exp(), expected)
    assert method.parameter_count == 3 * build("backprop-plain", features="mean").parameter_count


def test_the_ensemble_holds_one_member_s_activations() -> None:
    x, y = batch(64)
    in_turn = build("backprop-ensemble", T=5, execution="in_turn")
    assert held(in_turn, x, y) == held(build("backprop-ensemble", T=1), x, y)


def test_the_ensemble_s_diagnosis_has_every_member_and_every_average() -> None:
    method = build("backprop-ensemble", T=3).eval()
    x, y = batch(40)
    found = method.diagnose([(x, y)], Generator().manual_seed(0))
    probabilities = [member(x).softmax(dim=1) for member in method.members]
    assert found.steps[0] == (0.0, pytest.approx(float((y == 0).float().mean())))  # no member: all classes alike
    for t, (block, (time, accuracy)) in enumerate(zip(found.blocks, found.steps[1:], strict=True), start=1):
        alone = float((probabilities[t - 1].argmax(dim=1) == y).float().mean())
        assert (block.own_accuracy, block.image_accuracy) == pytest.approx((alone, alone))
        error = (probabilities[t - 1] - F.one_hot(y, 10)).square().sum(dim=1).mean()
        assert block.denoising_error == pytest.approx(float(error.detach()), rel=1e-5)
        together = torch.stack(probabilities[:t]).mean(dim=0)
        assert time == pytest.approx(t / 3)
        assert accuracy == pytest.approx(float((together.argmax(dim=1) == y).float().mean()))


def test_deep_supervision_is_the_mean_of_the_blocks_cross_entropies_with_gradients_through_all() -> None:
    method, plain = build("backprop-deep-supervision", T=3).eval(), build("backprop", T=3).eval()
    x, y = batch()
    z = plain.noise(x)
    loss = method.loss_from(z, x, y)
    terms = []
    for t in (1, 2, 3):
        z = plain._apply_block(t, x, z)
        terms.append(F.cross_entropy(plain.net.head(z), y))
    torch.testing.assert_close(loss, sum(terms) / 3)
    loss.backward()
    (sum(terms) / 3).backward()
    ours = dict(method.named_parameters())
    for key, value in plain.named_parameters():
        torch.testing.assert_close(ours[key].grad, value.grad, msg=key)


def without_batch_statistics(method: Method) -> Method:
    """In double precision, and with nothing random in it or shared between a batch's images."""
    for module in list(method.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | Dropout):
                setattr(module, name, nn.Identity())
    method.set_up(plain_sgd)
    return method.double()


def gradients(method: Method, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Those with which a step updates the parameters."""
    found: dict[str, Tensor] = {}
    (optimizer,) = method.optimizers()
    optimizer.step = lambda: found.update(  # type: ignore[method-assign, assignment, return-value]
        {key: p.grad.clone() for key, p in method.named_parameters() if p.grad is not None}
    )
    torch.manual_seed(1)
    method.train_step(x, y)
    return found


@pytest.mark.parametrize("micro_batches", [2, 5])
def test_micro_batches_add_up_to_the_full_batch(micro_batches: int) -> None:
    """Without batch norm and dropout, to 1e-6, also if the parts differ in size."""
    x, y = batch(33)
    torch.set_default_dtype(torch.float64)
    try:
        full = gradients(without_batch_statistics(build("backprop", T=2)), x.double(), y)
        method = without_batch_statistics(build("backprop-accumulate", T=2, micro_batches=micro_batches))
        found = gradients(method, x.double(), y)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.keys() == full.keys() == dict(method.named_parameters()).keys()
    for key, value in full.items():
        torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-12, msg=key)


def test_micro_batches_hold_less_and_each_is_a_batch_to_batch_norm() -> None:
    x, y = batch(64)
    whole, parts = build("backprop-accumulate", T=2, micro_batches=1), build("backprop-accumulate", T=2)
    assert held(parts, x, y) < 0.3 * held(whole, x, y)
    counted = [
        {int(m.num_batches_tracked) for m in method.modules() if isinstance(m, nn.BatchNorm1d)}
        for method in (whole, parts)
    ]
    assert counted == [{1}, {4}]


def test_micro_batches_need_two_images_each() -> None:
    with pytest.raises(methods.MethodError, match="micro_batches=4"):
        build("backprop-accumulate", T=2).train_step(*batch(7))


@pytest.mark.parametrize(("T", "within"), [(1, 0.02), (2, 0.02), (10, 0.01)])
@pytest.mark.parametrize("features", ["mean", "flatten"])
@pytest.mark.parametrize("shape", [SHAPE, TaskShape(3, 32, 32, 100)], ids=["digits", "cifar100"])
def test_the_wide_network_is_as_large_as_the_stack(shape: TaskShape, features: Any, T: int, within: float) -> None:
    state = torch.get_rng_state()
    assert width_like_stack(shape, WideOptions(T, features)) > 1
    assert torch.equal(state, torch.get_rng_state()), "counting draws no numbers"
    wide, stack = (build(name, shape=shape, T=T, features=features) for name in ("backprop-wide", "noprop"))
    assert math.isclose(wide.parameter_count, stack.stack_parameter_count, rel_tol=within)
