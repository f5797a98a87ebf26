"""The layers that are ours do what PyTorch's do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from bench.meters.activations import ActivationMeter
from methods.networks import layers
from methods.networks.layers import BatchNorm1d, Dropout, Linear, onednn_has_avx512

SHAPE = (8, 6, 50, 41)  # 98,400 numbers, which four does divide, and the next shape's number it does not
ODD = (3, 5, 7, 9)


def dropped(p: float, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    layer = Dropout(p)
    layer.train()
    return layer(torch.ones(shape).contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_dropout_drops_with_its_probability_and_keeps_the_mean(p: float) -> None:
    values = dropped(p)
    count = values.numel()
    deviation = math.sqrt(p * (1 - p) / count)
    assert float((values == 0).float().mean()) == pytest.approx(p, abs=5 * deviation)
    assert float(values.mean()) == pytest.approx(1, abs=5 * deviation / (1 - p))
    kept = values[values != 0]
    assert float(kept.min()) == float(kept.max()) == pytest.approx(1 / (1 - p), rel=2**-14)


def test_dropout_s_numbers_are_independent() -> None:
    """Of neighbours along every dimension, of steps, and of the four that share a draw."""
    mask = (dropped(0.5) != 0).float() - 0.5
    assert mask.numel() % 4 == 0
    lanes = mask.permute(0, 2, 3, 1).reshape(-1, 4)
    pairs = [(mask.narrow(d, 0, SHAPE[d] - 1), mask.narrow(d, 1, SHAPE[d] - 1)) for d in range(4)]
    pairs += [(lanes[:, i], lanes[:, j]) for i in range(4) for j in range(i)]
    pairs.append((mask, (dropped(0.5, seed=1) != 0).float() - 0.5))
    for one, other in pairs:
        correlation = 4 * float((one * other).mean())
        assert abs(correlation) < 5 / math.sqrt(one.numel())


def test_dropout_of_any_size_follows_the_seed_and_its_gradient_the_mask() -> None:
    assert torch.equal(dropped(0.2, ODD), dropped(0.2, ODD))
    assert not torch.equal(dropped(0.2, ODD), dropped(0.2, ODD, seed=1))
    x = torch.randn(ODD, requires_grad=True)
    y = Dropout(0.2).train()(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y, x * x.grad)
    assert {round(float(value), 3) for value in x.grad.unique()} == {0.0, 1.25}


def test_dropout_does_nothing_in_evaluation_or_at_zero() -> None:
    x = torch.randn(ODD)
    assert torch.equal(Dropout(0.2).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm_works_at_its_parameters_precision(dtype: torch.dtype) -> None:
    x = torch.randn(16, 4).to(dtype)
    ours, theirs = BatchNorm1d(4).train(), nn.BatchNorm1d(4).train()
    assert torch.equal(ours(x), theirs(x.float()))
    assert torch.equal(ours.running_mean, theirs.running_mean)  # type: ignore[arg-type]


by_onednn = pytest.mark.skipif(not onednn_has_avx512(), reason="linear layers are PyTorch's on this processor")


def linear_pair(inputs: int, outputs: int, *, bias: bool = True) -> tuple[Linear, nn.Linear]:
    """Ours and PyTorch's, from the same numbers."""
    torch.manual_seed(0)
    ours, theirs = Linear(inputs, outputs, bias=bias), nn.Linear(inputs, outputs, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@by_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "outputs", "batch"), [(64, 64, 1), (128, 256, 128), (1152, 256, 30)])
def test_a_linear_layer_and_its_gradients_are_pytorch_s(inputs: int, outputs: int, batch: int, bias: bool) -> None:
    ours, theirs = linear_pair(inputs, outputs, bias=bias)
    weights = torch.randn(batch, outputs)
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(1)
        x = torch.randn(inputs, batch).t().requires_grad_()  # not contiguous
        y = layer(x)
        (y * weights).sum().backward()
        results.append([y, x.grad, *(parameter.grad for parameter in layer.parameters())])
    assert results[0][0].grad_fn.name() != results[1][0].grad_fn.name()
    for mine, right in zip(*results, strict=True):
        torch.testing.assert_close(mine, right, atol=1e-4, rtol=1e-4)


@by_onednn
def test_the_same_number_for_a_whole_batch_has_a_gradient() -> None:
    ours, theirs = linear_pair(64, 128)
    for layer in (ours, theirs):
        layer(torch.ones(1, 1).expand(8, 64)).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, atol=1e-4, rtol=1e-4)


def test_an_empty_batch_has_a_gradient_of_zeros() -> None:
    ours, _ = linear_pair(64, 128)
    ours(torch.ones(0, 64)).sum().backward()
    assert torch.equal(ours.weight.grad, torch.zeros(128, 64))  # type: ignore[arg-type]


@by_onednn
@pytest.mark.parametrize("frozen", [True, False])
def test_a_linear_layer_holds_what_its_gradients_need(frozen: bool) -> None:
    ours, theirs = linear_pair(64, 128)
    x, same = (torch.ones(4, 64, requires_grad=frozen) for _ in range(2))
    held = []
    for layer, images in ((ours, x), (theirs, same)):
        layer.weight.requires_grad_(not frozen)
        with ActivationMeter(layer.parameters()) as meter:
            layer(images).sum().backward()
        held.append(meter.peak_bytes)
    assert held == [0 if frozen else 4 * 64 * 4] * 2
    if frozen:
        assert ours.weight.grad is None
        torch.testing.assert_close(x.grad, same.grad, atol=1e-5, rtol=1e-4)


@by_onednn
@pytest.mark.parametrize(("inputs", "outputs", "used"), [(128, 64, True), (128, 10, False), (10, 128, False)])
def test_a_wide_linear_layer_is_computed_by_onednn(inputs: int, outputs: int, used: bool) -> None:
    ours, _ = linear_pair(inputs, outputs)
    assert (ours(torch.ones(4, inputs)).grad_fn.name() == "_LinearBackward") == used


@by_onednn
def test_a_linear_layer_is_pytorch_s_in_mixed_precision_and_under_transforms() -> None:
    ours, theirs = linear_pair(64, 64)
    x = torch.randn(3, 4, 64)
    assert torch.equal(torch.vmap(ours)(x), torch.vmap(theirs)(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x[0]).dtype is torch.bfloat16
        assert torch.equal(ours(x[0]), theirs(x[0]))
    assert torch.equal(ours(x), theirs(x))  # more than two dimensions
    double = x[0].double()
    assert torch.equal(ours.double()(double), theirs.double()(double))


@pytest.fixture
def tried_anew() -> Iterator[None]:
    """Let the layers try oneDNN again, in the test and after it."""
    onednn_has_avx512.cache_clear()
    yield
    onednn_has_avx512.cache_clear()


@by_onednn
@pytest.mark.usefixtures("tried_anew")
def test_without_the_operation_a_linear_layer_is_pytorch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> torch.Tensor:
        raise AttributeError("no such operation")

    ours, theirs = linear_pair(64, 64)
    monkeypatch.setattr(layers, "_product", gone)
    x = torch.randn(4, 64)
    assert torch.equal(ours(x), theirs(x))
