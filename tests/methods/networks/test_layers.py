"""The layers that are ours do what PyTorch's do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from methods.networks.layers import BatchNorm1d, Dropout

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
