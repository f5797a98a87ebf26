"""Difference target propagation: the targets of its algorithm, and no gradient from layer to layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.training.ranks import share_of
from methods.core.errors import MethodError
from methods.core.method import TaskShape
from methods.networks.layerwise import hidden_shapes
from methods.target_propagation import TargetPropagation, TargetPropagationOptions
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
    torch.manual_seed(2)
    for k in (4, 3, 2, 1):
        expected.append(distance(h[k], target))
        if k > 1:
            inverse = method.inverses[k - 2]
            noisy = h[k - 1] + 0.3 * torch.randn_like(h[k - 1])
            expected.append(distance(inverse(method.layers[k - 1](noisy)), noisy))
            target = h[k - 1] - inverse(h[k]) + inverse(target)
    torch.manual_seed(2)
    found = list(method.losses(x.double(), y))
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))


def test_inverse_losses_see_no_dropout_and_leave_it_on() -> None:
    method, (x, _) = build("difference-target-propagation", noise=1e-9).train(), batch(6)
    h = method.layers[0](x).detach()
    torch.testing.assert_close(method._inverse_loss(0, h), method._inverse_loss(0, h))
    assert all(module.training for module in method.modules())


def test_an_inverse_of_a_known_linear_map_inverts_it_around_the_activities() -> None:
    """Trained where all activities are 0: only the noise shows the map there, and only if it is to be given back."""
    generator = Generator().manual_seed(0)
    known = nn.init.orthogonal_(torch.empty(256, 128), generator=generator)

    class Known(TargetPropagation):
        layers = property(lambda self: [lambda h: h.flatten(start_dim=1) @ known.T] * 4)  # type: ignore[assignment]

    torch.manual_seed(0)
    method = Known(SHAPE, TargetPropagationOptions(noise=1.0))
    optimizer = torch.optim.SGD(method.inverses[2].parameters(), lr=0.4)
    for _ in range(60):
        optimizer.zero_grad()
        method._inverse_loss(2, torch.zeros(256, 128, 1, 1)).backward()
        optimizer.step()
    h = torch.randn(64, 128, 1, 1, generator=generator)
    inverted = method.inverses[2](h.flatten(start_dim=1) @ known.T)
    torch.testing.assert_close(inverted.detach(), h, rtol=0, atol=0.05)


def test_further_steps_train_the_inverses_alone() -> None:
    more, once = (build("difference-target-propagation", inverse_steps=n) for n in (3, 1))
    x, y = batch()
    steps = []
    more._optimizer.register_step_pre_hook(
        lambda *_: steps.append({name for name, p in more.named_parameters() if p.grad is not None})
    )
    more.train_step(x, y)
    assert [all(name.startswith("inverses.") for name in names) for names in steps] == [True, True, False]
    assert share_of(once, 2) is None
    with pytest.raises(MethodError, match="inverse_steps=3 is not accepted"):
        share_of(more, 2)


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
