"""Difference target propagation: the targets of its algorithm, and no gradient from layer to layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.method import TaskShape
from methods.networks.layerwise import hidden_shapes
from tests.methods.helpers import SHAPE, accuracy, batch, build, hidden_layers, real_digits, train


def without_dropout(method: Any) -> Any:
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return method


def test_an_inverse_goes_back_to_the_layer_s_input() -> None:
    for shape in (SHAPE, TaskShape(3, 32, 32, 10), TaskShape(2, 29, 21, 4)):
        method = build("difference-target-propagation", shape=shape)
        hidden = hidden_shapes(shape)
        for given, wanted, inverse in zip(hidden[1:], hidden[:-1], method.inverses, strict=True):
            assert inverse(torch.randn(2, *given)).shape == (2, *wanted)


def test_each_loss_reaches_one_layer_or_one_inverse() -> None:
    method = build("difference-target-propagation")
    layers = hidden_layers(method)
    inverses = [list(inverse.parameters()) for inverse in method.inverses]
    parts = [
        list(method.head.parameters()),
        layers[3],
        inverses[2],
        layers[2],
        inverses[1],
        layers[1],
        inverses[0],
        layers[0],
    ]
    assert sum(map(len, parts)) == len(list(method.parameters()))
    count = 0
    for number, value in enumerate(method.losses(*batch())):
        value.backward()
        for other, parameters in enumerate(parts):
            assert {p.grad is not None for p in parameters} == {other == number}
        method.zero_grad()
        count += 1
    assert count == len(parts)


def test_losses_are_distances_to_the_algorithm_s_targets() -> None:
    """All of them written out in float64."""
    method = without_dropout(build("difference-target-propagation").double())
    x, y = batch(6)
    h = [x.double()]
    for layer in method.layers:
        h.append(layer(h[-1]).detach())
    top = h[4].clone().requires_grad_()
    loss = F.cross_entropy(method.head(top), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, top)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return 0.5 * (a - b).square().sum() / len(y)

    expected, target = [loss / len(y)], top - gradient
    for k in (4, 3, 2, 1):
        expected.append(distance(h[k], target))
        if k > 1:
            inverse = method.inverses[k - 2]
            expected.append(distance(inverse(h[k]), h[k - 1]))
            target = h[k - 1] - inverse(h[k]) + inverse(target)
    found = list(method.losses(x.double(), y))
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))


def test_an_inverse_is_to_take_the_dropout_out() -> None:
    """It gets the layer's output with dropout in the layer's input, and is to give back that input as it was before."""
    method, (x, y) = build("difference-target-propagation").train(), batch(6)
    torch.manual_seed(1)
    found = list(method.losses(x, y))[2]
    torch.manual_seed(1)
    h = [x]
    for layer in method.layers:  # the dropout is the first thing in a layer
        h.append(layer(h[-1]).detach())
    expected = 0.5 * (method.inverses[2](h[4]) - h[3]).square().sum() / len(y)
    torch.testing.assert_close(found, expected)
    dropout = next(module for module in method.image_path.modules() if isinstance(module, nn.Dropout))
    assert dropout.p > 0


def test_with_a_perfect_top_nothing_below_is_asked_to_change() -> None:
    """The correction: where the last target is the output itself, so is every other, however bad the inverses are."""
    method = without_dropout(build("difference-target-propagation"))
    with torch.no_grad():
        method.head.weight.zero_()  # no gradient passes it
    _, *others = method.losses(*batch())
    of_layers = others[::2]
    assert len(of_layers) == 4
    assert all(float(loss.detach()) < 1e-9 for loss in of_layers)
    assert all(float(loss.detach()) > 1e-4 for loss in others[1::2])


def test_inverses_learn_to_invert_and_layers_learn_from_targets() -> None:
    x, y, x_test, y_test = real_digits()
    method = build("difference-target-propagation")

    def bottom_error() -> float:
        first, second = method.eval().layers[:2]
        h = first(x_test)
        return float(F.mse_loss(method.inverses[0](second(h)), h).detach() / h.detach().square().mean())

    def output_loss() -> float:
        return float(F.cross_entropy(method.predict(x_test, torch.Generator()), y_test))

    before = bottom_error(), output_loss()
    train(method, x, y, epochs=4)
    assert bottom_error() < 0.5 * before[0]
    assert output_loss() < 0.5 * before[1]


def test_mixed_precision_leaves_the_gradients_their_direction() -> None:
    """Targets are steps that are small beside the activities; rounded with those, little would be left of them."""
    x_train, y_train, *_ = real_digits()
    method = without_dropout(build("difference-target-propagation"))
    train(method, x_train, y_train, epochs=6)
    x, y = x_train[:128], y_train[:128]
    gradients = []
    for mixed in (False, True):
        method.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            losses = list(method.losses(x, y))
        torch.stack(losses).sum().backward()
        gradients.append([p.grad.clone() for layer in hidden_layers(method) for p in layer if p.dim() > 1])
    for exact, rounded in zip(*gradients, strict=True):
        assert F.cosine_similarity(exact.flatten(), rounded.flatten(), dim=0) > 0.99


def test_on_larger_images_layers_do_not_run_away() -> None:
    """Nothing in the rule keeps what layers give from growing: without normalisation it does."""
    x, y, x_test, y_test = real_digits()
    x, x_test = (images.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3) for images in (x, x_test))
    method = build("difference-target-propagation", shape=replace(SHAPE, height=24, width=24))
    before = float(method.loss(x[:64], y[:64]))
    train(method, x, y, epochs=6)
    assert float(method.loss(x[:64], y[:64])) < before
    assert accuracy(method, x_test, y_test) > 0.8
