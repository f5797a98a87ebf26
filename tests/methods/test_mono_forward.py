"""Mono-Forward: every layer by its own projection, none through another, and both of its ways to predict."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Generator, Tensor, nn

from methods.networks.layerwise import cut
from tests.methods.helpers import batch, build, later_layers_do_not_matter, same, snapshot, train


def layer_parameters(method: Any) -> list[list[Tensor]]:
    """Those of each hidden layer with its projection."""
    convolutions: list[list[nn.Module]] = [[m] for m in method.image_path.convolutions if isinstance(m, nn.Conv2d)]
    layers = [*convolutions, [method.image_path.linear, method.image_path.norm]]
    return [
        [p for module in [*modules, projection] for p in module.parameters()]
        for modules, projection in zip(layers, method.projections, strict=True)
    ]


def test_a_layer_s_loss_reaches_that_layer_and_its_projection_and_no_other() -> None:
    method = build("mono-forward")
    layers = layer_parameters(method)
    assert sum(map(len, layers)) == len(list(method.parameters()))
    losses = list(method.losses(*batch()))
    assert len(losses) == len(layers)
    for number, value in enumerate(losses):
        value.backward()
        for other, parameters in enumerate(layers):
            assert {p.grad is not None for p in parameters} == {other == number}
        method.zero_grad()


def test_a_later_layer_changes_nothing_for_an_earlier_one() -> None:
    later_layers_do_not_matter("mono-forward", layer_parameters)


def test_goodness_is_a_projection_of_all_activities_and_the_loss_its_cross_entropy() -> None:
    method = build("mono-forward").eval()
    x, y = batch(8)
    h = x
    for layer, projection, goodness, loss in zip(
        cut(method.image_path), method.projections, method.goodness(x), method.losses(x, y), strict=True
    ):
        h = layer(h)
        assert projection.weight.shape == (10, prod(h.shape[1:]))
        expected = torch.einsum("bi,ki->bk", h.flatten(start_dim=1), projection.weight)
        torch.testing.assert_close(goodness, expected)
        torch.testing.assert_close(loss, -expected.log_softmax(dim=1)[range(8), y].mean())


def test_prediction_is_the_sum_over_layers_or_the_last_one() -> None:
    x, _ = batch(8)
    by_sum, by_last = (build("mono-forward", prediction=option).eval() for option in ("sum", "last"))
    goodness = list(by_sum.goodness(x))
    torch.testing.assert_close(by_sum.predict(x, Generator()), sum(goodness))
    torch.testing.assert_close(by_last.predict(x, Generator()), goodness[-1])


def test_prediction_takes_no_part_in_training() -> None:
    x, y = batch(64)
    trained = [build("mono-forward", prediction=option) for option in ("sum", "last")]
    for method in trained:
        torch.manual_seed(0)
        train(method, x, y, epochs=2)
    assert same(snapshot(trained[0]), trained[1])
