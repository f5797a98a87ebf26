"""Forward-forward: local goodness, labels that matter, and layers that know nothing of one another's gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

import methods
from bench.meters.activations import ActivationMeter
from methods.core.method import TaskShape
from methods.forward_forward import goodness
from methods.networks import layers
from methods.networks.layerwise import cut, normalised
from tests.methods.helpers import (
    accuracy,
    batch,
    build,
    hidden_layers,
    later_layers_do_not_matter,
    real_digits,
    train,
)


@pytest.fixture(scope="module")
def trained() -> Any:
    x, y, _, _ = real_digits()
    method = build("forward-forward")
    train(method, x, y, epochs=15)
    return method


def test_every_layer_has_a_loss_on_right_and_one_on_wrong_labels_and_none_reaches_another() -> None:
    method = build("forward-forward")
    layers = hidden_layers(method)
    assert sum(map(len, layers)) == len(list(method.parameters()))
    count = 0
    for number, value in enumerate(method.losses(*batch())):
        value.backward()
        for other, parameters in enumerate(layers):
            assert {p.grad is not None for p in parameters} == {other == number // 2}
        method.zero_grad()
        count += 1
    assert count == 2 * len(layers)


def test_the_losses_are_those_of_the_equation() -> None:
    """-log p(positive) with the right label, -log(1 - p(positive)) with a wrong one, written out in float64."""
    method = build("forward-forward", theta=0.3, sharpness=5.0).double()
    x, y = batch(6)
    x = x.double()
    torch.manual_seed(2)
    found = torch.stack(list(method.losses(x, y)))
    torch.manual_seed(2)
    wrong = method._wrong_labels(x, y)
    expected = []
    inputs = [
        torch.cat([x, F.one_hot(labels, 10).double().view(6, 10, 1, 1).expand(6, 10, 8, 8)], 1) for labels in (y, wrong)
    ]
    for layer in cut(method.image_path):
        outputs = [layer(h) for h in inputs]
        right, other = (torch.sigmoid(5.0 * (h.flatten(1).square().mean(1) - 0.3)) for h in outputs)
        expected += [-right.log().mean(), -(1 - other).log().mean()]
        inputs = []
        for h in outputs:
            flat = h.flatten(1)
            unit = (flat - flat.mean(1, keepdim=True)) / flat.std(1, correction=0, keepdim=True)
            inputs.append(unit.view(h.shape))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-3, atol=1e-5)


def test_a_later_layer_changes_nothing_for_an_earlier_one() -> None:
    later_layers_do_not_matter("forward-forward", hidden_layers)


def test_a_step_raises_goodness_with_the_right_label_and_lowers_it_with_wrong_ones(trained: Any) -> None:
    """In every layer, on images that it was not trained on."""
    _, _, x, y = real_digits()
    right, wrong = trained.with_label(x, y), trained.with_label(x, (y + 1) % 10)
    with torch.no_grad():
        for layer in cut(trained.image_path):
            right, wrong = layer(right), layer(wrong)
            assert float((goodness(right) > goodness(wrong)).float().mean()) > 0.7
            right, wrong = normalised(right), normalised(wrong)


def test_it_predicts_the_label_of_greatest_goodness_in_all_layers_but_the_first(trained: Any) -> None:
    _, _, x, y = real_digits()
    x = x[:40]
    logits = trained.predict(x, Generator())
    expected = torch.zeros(40, 10)
    with torch.no_grad():
        for label in range(10):
            h = trained.with_label(x, torch.full((40,), label))
            for number, layer in enumerate(cut(trained.image_path)):
                h = layer(h)
                expected[:, label] += 0 if number == 0 else 512.0 * (goodness(h) - 0.4)
                h = normalised(h)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-3)
    assert accuracy(trained, x, y[:40]) > 0.8


def test_the_label_in_the_input_is_what_it_learns_from() -> None:
    """With labels that say nothing, it predicts no better than guessing; and the label reaches every position."""
    x, y, x_test, y_test = real_digits()
    method = build("forward-forward")
    shuffled = y[torch.randperm(len(y), generator=Generator().manual_seed(0))]
    train(method, x, shuffled, epochs=8)
    assert accuracy(method, x_test, y_test) < 0.3
    planes = method.with_label(x[:3], torch.tensor([4, 0, 9]))[:, 1:]
    assert torch.equal(planes, F.one_hot(torch.tensor([4, 0, 9]), 10)[:, :, None, None].expand(3, 10, 8, 8).float())


@pytest.mark.parametrize("negatives", ["uniform", "hard"])
def test_a_wrong_label_is_never_the_right_one_and_may_be_any_other(negatives: str) -> None:
    method = build("forward-forward", negatives=negatives, sharpness=1e-3)  # so that hard ones are nearly uniform
    x, y = batch(4000)
    wrong = method._wrong_labels(x, y)
    assert not bool((wrong == y).any())
    assert len({(int(a), int(b)) for a, b in zip(y, wrong, strict=True)}) == 90


def test_hard_negatives_are_those_that_the_network_finds_likely(trained: Any) -> None:
    _, _, x, y = real_digits()
    hard = build("forward-forward", negatives="hard")
    hard.load_state_dict(trained.state_dict())
    evidence = trained.predict(x, Generator())
    torch.manual_seed(0)
    taken = [float(evidence.gather(1, m._wrong_labels(x, y)[:, None]).mean()) for m in (hard, trained)]
    assert taken[0] > taken[1] + 1


def test_normalising_hides_how_strong_activities_were() -> None:
    h = torch.rand(5, 3, 4, 4)
    scale = torch.tensor([0.2, 0.5, 1.0, 20.0, 300.0]).view(5, 1, 1, 1)
    torch.testing.assert_close(normalised(scale * h), normalised(h), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(goodness(normalised(h)), torch.ones(5), rtol=1e-3, atol=0)
    assert bool((normalised(torch.zeros(2, 7)) == 0).all())


def test_it_holds_one_layer_of_one_pass_for_backward() -> None:
    """The most is what the first layer holds, the image with its label among it."""
    shape = TaskShape(1, 28, 28, 10)
    x, y = batch(32, shape)
    method = build("forward-forward", shape=shape)
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(x, y)
    held = []
    for chosen in (cut(method.image_path)[:1], cut(method.image_path)):
        with ActivationMeter(method.parameters(), method.buffers()) as alone:
            h = method.with_label(x, y)
            losses = []
            for layer in chosen:
                h = layer(h)
                losses.append(goodness(h).mean())
        held.append(alone.peak_bytes)
    first, all_layers = held
    assert meter.peak_bytes == pytest.approx(first, rel=0.01)
    assert meter.peak_bytes < 0.85 * all_layers


def test_it_holds_less_than_backpropagation_where_layers_are_pytorch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, layers hold so little that the label's planes are as much as what it saves."""
    monkeypatch.setattr(layers, "functions", lambda dtype: None)
    shape = TaskShape(1, 28, 28, 10)
    held = {}
    for name in ("forward-forward", "backprop-plain"):
        method = build(name, shape=shape)
        with ActivationMeter(method.parameters(), method.buffers()) as meter:
            method.train_step(*batch(32, shape))
        held[name] = meter.peak_bytes
    assert held["forward-forward"] < 0.85 * held["backprop-plain"]


@pytest.mark.parametrize("values", [{"theta": "0"}, {"sharpness": "inf"}, {"negatives": "soft"}], ids=str)
def test_options_out_of_range(values: dict[str, str]) -> None:
    with pytest.raises(methods.MethodError, match=next(iter(values))):
        methods.get("forward-forward").Options.parse(values)
