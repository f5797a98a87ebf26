"""Direct feedback alignment: fixed random feedback, no gradient from layer to layer, the updates of its equation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.method import TaskShape
from methods.dfa import DFA, DFAOptions
from methods.networks.layers import Dropout
from methods.networks.layerwise import Layer, hidden_shapes
from tests.methods.helpers import SHAPE, accuracy, adamw, batch, build, plain_sgd, real_digits, snapshot, train


def gradients(method: Any, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Of a step, with the dropout of a fixed seed."""
    torch.manual_seed(8)
    for loss in method.losses(x, y):
        loss.backward()
    found = {key: p.grad.clone() for key, p in method.named_parameters()}
    method.zero_grad()
    return found


def test_feedback_is_fixed_and_no_parameter() -> None:
    x, y, _, _ = real_digits()
    method = build("dfa")
    before = [matrix.clone() for matrix in method.feedback]
    assert [tuple(matrix.shape) for matrix in before] == [(SHAPE.num_classes, *s) for s in hidden_shapes(SHAPE)]
    train(method, x[:320], y[:320], epochs=2)
    assert all(torch.equal(*pair) for pair in zip(before, method.feedback, strict=True))
    assert not any(matrix.requires_grad for matrix in method.feedback)
    assert [key for key, _ in method.named_parameters() if "feedback" in key] == []
    assert sum("feedback" in key for key in method.state_dict()) == len(before)


def test_feedback_follows_the_seed() -> None:
    one, same, other = (build("dfa", seed=seed).feedback for seed in (1, 1, 2))
    assert all(torch.equal(*pair) for pair in zip(one, same, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_updates_are_those_of_the_equation() -> None:
    """delta a_k = (B_k e) * f'(a_k), written out in float64 on the linear layer and on a convolution."""
    method = build("dfa").double()
    method.image_path.norm = nn.Identity()
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x, y = batch(6)
    x = x.double()
    found = gradients(method, x, y)

    path, feedback = method.image_path, method.feedback
    outputs = [x]
    for layer in method.layers:
        outputs.append(layer(outputs[-1]).detach())
    error = ((method.head(outputs[-1]).softmax(1) - F.one_hot(y, 10)) / len(y)).detach()
    torch.testing.assert_close(found["head.weight"], error.T @ outputs[-1])
    pooled = outputs[3].mean(dim=(2, 3))
    delta = (error @ feedback[3]) * (outputs[4] > 0)
    torch.testing.assert_close(found["image_path.linear.weight"], delta.T @ pooled, rtol=1e-6, atol=1e-9)

    convolution = path.convolutions[0]
    a = F.conv2d(x, convolution.weight, convolution.bias, padding=1).detach()
    largest, where = F.max_pool2d(a, 2, return_indices=True)
    projected = torch.einsum("nc,cdhw->ndhw", error, feedback[0]) * (largest > 0)
    delta = F.max_unpool2d(projected, where, 2)  # to the pixels that pooling let through
    patches = F.unfold(x, 3, padding=1).view(6, 9, 64)
    expected = torch.einsum("ndp,nkp->dk", delta.flatten(2), patches).view(32, 1, 3, 3)
    torch.testing.assert_close(found["image_path.convolutions.0.weight"], expected, rtol=1e-6, atol=1e-9)


def test_no_gradient_passes_a_layer() -> None:
    """Without feedback to it, a hidden layer has no gradient at all, and the others have theirs as before."""
    method, (x, y) = build("dfa"), batch()
    usual = gradients(method, x, y)
    method.feedback[1].zero_()
    cut = gradients(method, x, y)
    second = [key for key in usual if key.startswith("image_path.convolutions.3.")]
    assert len(second) == 2
    for key, value in usual.items():
        assert bool((cut[key] == 0).all()) if key in second else torch.equal(cut[key], value)


def test_the_head_learns_as_in_backpropagation() -> None:
    """It sees the output's error itself: at the start its gradient is `backprop-plain`'s, and so is the loss."""
    x, y = batch()
    dfa, cnn = (build(name, seed=5, make_optimizer=plain_sgd) for name in ("dfa", "backprop-plain"))
    losses = []
    for method in (dfa, cnn):
        torch.manual_seed(8)
        losses.append(method.train_step(x, y))
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(dfa.head.weight, cnn.head.weight)
    assert not torch.allclose(dfa.image_path.linear.weight, cnn.image_path.linear.weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", [3, 4])
def test_hidden_layers_learn_from_feedback(layer: int) -> None:
    """The classes fit better with a hidden layer trained than with that layer left at its start."""
    x, y, _, _ = real_digits()
    losses = []
    for fed in (True, False):
        method = build("dfa")
        if not fed:
            method.feedback[layer - 1].zero_()
        train(method, x, y, epochs=3)
        losses.append(float(F.cross_entropy(method.predict(x, torch.Generator()), y)))
    assert losses[0] < losses[1]


@pytest.mark.parametrize("height", [8, 29])
def test_positions_may_share_their_channel_s_feedback(height: int) -> None:
    shape = replace(SHAPE, height=height)
    for matrix in build("dfa", shape=shape, feedback="channels").feedback[:3]:
        assert torch.equal(matrix, matrix[:, :, :1, :1].expand_as(matrix))
        assert len(matrix[:, :, 0, 0].unique()) == 10 * matrix.shape[1]
    assert build("dfa", shape=shape, feedback="units").feedback[0][0, 0].unique().numel() == 4 * (height // 2)


def test_convolutions_without_feedback_stay_as_they_start() -> None:
    method, same = build("dfa", feedback="last"), build("dfa")
    assert len(method.feedback) == 1
    before = snapshot(method)
    assert all(torch.equal(before[key], value) for key, value in same.named_parameters())
    x, y, _, _ = real_digits()
    train(method, x[:320], y[:320], epochs=2)
    kept = {key for key, value in method.named_parameters() if torch.equal(before[key], value)}
    assert kept == {key for key in before if ".convolutions." in key}


class FullyConnected(DFA):
    """The source's kind of network: fully connected, tanh, no batch norm; here without dropout, too."""

    def __init__(self, shape: TaskShape, options: DFAOptions) -> None:
        super().__init__(shape, options)
        del self.image_path
        widths = [64, 256, 256, 256, 256]
        self.dense = nn.ModuleList(nn.Sequential(nn.Linear(*pair), nn.Tanh()) for pair in pairwise(widths))

    @property
    def hidden_shapes(self) -> list[tuple[int, ...]]:
        return [(256,)] * 4

    @property
    def layers(self) -> list[Layer]:
        first, *others = self.dense
        return [nn.Sequential(nn.Flatten(), first), *others]


def alignment(method: Any, x: Tensor, y: Tensor) -> list[float]:
    """Cosine between a step's gradient and backpropagation's, of each hidden layer's weights; without dropout."""
    for module in method.modules():
        module.train(not isinstance(module, Dropout))
    found = gradients(method, x, y)
    h = x
    for layer in method.layers:
        h = layer(h)
    F.cross_entropy(method.head(h), y).backward()
    pairs = ((found[key], p.grad) for key, p in method.named_parameters() if p.ndim > 1 and "head" not in key)
    cosines = [float(F.cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a, b in pairs if b is not None]
    method.zero_grad()
    assert len(cosines) == 4
    return cosines


def test_layers_align_with_backpropagation_where_they_are_fully_connected() -> None:
    """What makes the method work at all (section 3 of the source); the first convolution does not."""
    x, y, x_test, y_test = real_digits()
    convolutional = build("dfa")
    torch.manual_seed(0)
    connected = FullyConnected(SHAPE, DFAOptions())
    connected.set_up(adamw)
    assert all(abs(cosine) < 0.1 for cosine in alignment(connected, x[:256], y[:256]))
    train(connected, x, y, epochs=5)
    assert accuracy(connected, x_test, y_test) > 0.93
    assert min(alignment(connected, x[:256], y[:256])) > 0.15
    train(convolutional, x, y, epochs=5)
    first, *_, linear = alignment(convolutional, x[:256], y[:256])
    assert abs(first) < 0.12
    assert linear > 0.25
