"""Averaged draws of noise: the mean of probabilities, and one draw untouched."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from methods.networks.inference import average_predictions
from tests.methods.helpers import batch, build

DRAWS = [torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.0, 3.0, 0.0]]), torch.tensor([[1.0, 1.0, 5.0]])]


def test_probabilities_are_averaged_not_logits() -> None:
    draws = iter(DRAWS)
    averaged = average_predictions(lambda: next(draws), 3)
    expected = torch.stack([draw.softmax(dim=1) for draw in DRAWS]).mean(0)
    torch.testing.assert_close(averaged.softmax(dim=1), expected)
    torch.testing.assert_close(averaged.exp(), expected)


def test_one_draw_is_returned_as_it_is() -> None:
    assert average_predictions(lambda: DRAWS[0], 1) is DRAWS[0]


@pytest.mark.parametrize("name", ["noprop", "backprop", "noprop-ct", "noprop-fm", "adjoint"])
def test_methods_average_independent_draws(name: str) -> None:
    """Three samples are the mean of three predictions that share one generator, each from noise of its own."""
    small = {"T": 2} if name in ("noprop", "backprop") else {"steps": 3}
    one, three = build(name, **small), build(name, samples=3, **small)
    x, _ = batch(4)
    one.eval()
    three.eval()
    generator = Generator().manual_seed(0)
    draws: list[Tensor] = [one.predict(x, generator).softmax(dim=1) for _ in range(3)]
    assert not torch.equal(draws[0], draws[1])
    averaged = three.predict(x, Generator().manual_seed(0)).softmax(dim=1)
    torch.testing.assert_close(averaged, torch.stack(draws).mean(0))
