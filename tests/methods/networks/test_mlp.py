"""The rules on their sources' fully connected networks: the same rules, and the networks that the sources describe."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

import methods
from bench.meters.activations import ActivationMeter
from bench.meters.flops import FlopMeter
from methods.core.errors import MethodError
from methods.core.method import TaskShape
from methods.networks.layerwise import normalised
from methods.networks.mlp import MLPS, Rule
from tests.methods.helpers import batch, build

MNIST = TaskShape(1, 28, 28, 10)
LAYERS: dict[Rule, list[int]] = {
    "dfa": [784, 800, 800],
    "difference-target-propagation": [784, *[240] * 7],
    "forward-forward": [784, *[2000] * 4],
    "local-loss": [784, *[1024] * 3],
}
"""Units, from the pixels on."""


def mlp(name: str, **options: Any) -> Any:
    return build(name, network="mlp", **options)


@pytest.mark.parametrize(("rule", "units"), LAYERS.items(), ids=LAYERS)
def test_the_hidden_layers_are_the_source_s(rule: Rule, units: list[int]) -> None:
    with torch.device("meta"):
        method = methods.get(rule)(MNIST, methods.get(rule).Options.parse({"network": "mlp"}))
    weights = [p for p in method.image_path.parameters() if p.dim() == 2]
    assert [tuple(p.shape) for p in weights] == list(zip(units[1:], units[:-1], strict=True))
    # A bias for each unit, or, where there is batch norm, its shift and its scale.
    per_unit = 2 if rule == "local-loss" else 1
    assert method.stack_parameter_count == sum(p.numel() for p in weights) + per_unit * sum(units[1:])


@pytest.mark.parametrize("rule", [rule for rule in MLPS if rule != "forward-forward"])
def test_backprop_is_its_control(rule: Rule) -> None:
    """It computes the same function from the same start, with dropout and without."""
    ours, control = mlp(rule, seed=4), mlp("backprop-plain", seed=4, mlp_of=rule)
    x, _ = batch(8)
    for training in (True, False):
        logits = []
        for method in (ours, control):
            torch.manual_seed(2)
            logits.append(method.train(training).predict(x, Generator()))
        assert torch.equal(*logits)
    assert ours.stack_parameter_count == control.stack_parameter_count


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("dfa", {"features": "mean"}, "features must be flatten"),
        ("dfa", {"feedback": "channels"}, "feedback must be units or last"),
        ("local-loss", {"classifier_dim": "512"}, "classifier_dim must be 1024"),
        ("backprop-plain", {"network": "cnn", "mlp_of": "local-loss"}, "mlp_of must be dfa"),
    ],
)
def test_an_option_that_says_nothing_of_the_network_is_refused(name: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        methods.get(name).Options.parse({"network": "mlp"} | options)


def test_feedback_is_a_random_matrix_times_the_error_and_the_derivative_of_tanh() -> None:
    """delta W_k = (B_k e * f'(a_k)) h_{k-1}^T, with the units that dropout leaves."""
    method = mlp("dfa")
    for module in method.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    x, y = batch(16)
    method.loss(x, y).backward()
    pixels = x.flatten(1)
    one, two = (layer[-3] for layer in method.image_path)
    h = torch.tanh(one(pixels))
    out = torch.tanh(two(h))
    error = (method.head(out).softmax(1) - F.one_hot(y, 10)) / len(y)
    for layer, given, got, matrix in ((one, pixels, h, method.feedback[0]), (two, h, out, method.feedback[1])):
        delta = error @ matrix * (1 - got.square())
        torch.testing.assert_close(layer.weight.grad, delta.T @ given, rtol=1e-4, atol=1e-7)


def test_targets_go_down_through_inverses_that_are_not_linear() -> None:
    """h_hat_{k-1} = h_{k-1} - g_k(h_k) + g_k(h_hat_k), written out."""
    method = mlp("difference-target-propagation")
    x, y = batch(16)
    found = [float(loss.detach()) for loss in method.losses(x, y)][1::2]  # the layers', from the last one down
    outputs, logits = method.layer_outputs(x)
    target = outputs[-1] - method.output_error(logits, y) @ method.head.weight
    expected = []
    for k in reversed(range(len(outputs))):
        expected.append(0.5 * float((outputs[k] - target).detach().square().sum(1).mean()))
        if k:
            g = method.inverses[k - 1]
            target = outputs[k - 1] - g(outputs[k]) + g(target)
    assert found == pytest.approx(expected, rel=1e-3)


def test_an_orthogonal_start_keeps_activities_from_fading() -> None:
    method = mlp("difference-target-propagation")
    outputs, _ = method.layer_outputs(batch(64)[0])
    sizes = [float(h.square().mean()) for h in outputs]
    assert sizes[-1] > 0.2 * sizes[0]


def first_pixels(x: Tensor) -> Tensor:
    return x[:, :10]


def test_the_label_is_in_the_first_pixels() -> None:
    """As dark and as bright as the image is; the other pixels are the image's."""
    method = mlp("forward-forward")
    x, y = batch(6)
    given, plain = method.with_label(x, y), x.flatten(1)
    assert torch.equal(given[:, 10:], plain[:, 10:])
    assert torch.equal(first_pixels(given).argmax(1), y)
    torch.testing.assert_close(first_pixels(given).amax(1), plain.amax(1))
    assert all(len(row.unique()) == 2 for row in first_pixels(given))
    neutral = first_pixels(method.with_soft_label(x, torch.full((6, 10), 0.1)))
    assert all(len(row.unique()) == 1 for row in neutral)
    with pytest.raises(MethodError, match="64 pixels are too small for a label of 65"):
        build("forward-forward", shape=TaskShape(1, 8, 8, 65), network="mlp")


@pytest.mark.parametrize("network", ["cnn", "mlp"])
def test_neutral_negatives_are_those_that_one_pass_with_a_neutral_label_finds_likely(network: str) -> None:
    method = build("forward-forward", network=network, negatives="neutral")
    x, y = batch(400)
    with torch.no_grad():
        method.classifier.weight.zero_()
        method.classifier.bias.copy_(torch.tensor([9.0, 8.0, *[-9.0] * 8]))  # classes 0 and 1 are likely
    losses = method.losses(x, y)
    torch.testing.assert_close(next(losses), F.cross_entropy(method.classifier.bias.expand(400, 10), y))
    h = method.with_soft_label(x, torch.full((400, 10), 0.1))
    activities = []
    for layer in method.image_path if network == "mlp" else ():
        h = normalised(layer(h))
        activities.append(h)
    if activities:
        torch.testing.assert_close(method._neutral_activities(x), torch.cat(activities[1:], 1))
    wrong = method._wrong_labels(x, y, method.classifier(method._neutral_activities(x)))
    assert not bool((wrong == y).any())
    assert float((wrong <= 1).float().mean()) > 0.99


def test_no_layer_has_a_gradient_from_the_classifier_of_neutral_labels() -> None:
    method = mlp("forward-forward", negatives="neutral")
    next(iter(method.losses(*batch()))).backward()
    assert method.classifier.weight.grad is not None
    assert all(p.grad is None for p in method.image_path.parameters())


def measured(name: str, **options: Any) -> tuple[int, int]:
    """Operations of a step on 32 images, and bytes held for backward at its peak."""
    method = mlp(name, **options)
    with FlopMeter() as flops, ActivationMeter(method.parameters(), method.buffers()) as activations:
        method.train_step(*batch(32))
    return flops.flops, activations.peak_bytes


def test_operations_and_memory_are_those_of_the_layers() -> None:
    """2 x units x units an image forward, as much for the weights, and for the inputs of all layers but the first."""
    hidden, last = [64 * 800, 800 * 800], 800 * 10
    flops, of_backprop = measured("backprop-plain")
    assert flops == 32 * 2 * (3 * (sum(hidden) + last) - hidden[0])
    flops, held = measured("dfa")
    feedback = 2 * 800 * 10
    assert flops == 32 * 2 * (2 * (sum(hidden) + last) + feedback)
    assert held == pytest.approx(of_backprop, rel=0.05)
    _, of_backprop = measured("backprop-plain", mlp_of="local-loss")
    assert measured("local-loss")[1] < 0.75 * of_backprop
