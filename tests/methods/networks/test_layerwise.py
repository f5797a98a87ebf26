"""The network that the layer-wise rivals share: `backprop-plain`'s, cut between its layers."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, nn

from bench.meters.activations import ActivationMeter
from bench.training.ranks import share_of
from methods.core.method import TaskShape
from methods.networks import layers
from methods.networks.layerwise import hidden_shapes
from tests.methods.helpers import SHAPE, batch, build

SHAPES = [SHAPE, TaskShape(3, 32, 32, 10), TaskShape(2, 28, 21, 4)]
SAME_NETWORK = ("local-loss", "dfa")
ALL = (*SAME_NETWORK, "forward-forward", "difference-target-propagation")


@pytest.mark.parametrize("name", SAME_NETWORK)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_network_is_backprop_plain_s(name: str, shape: TaskShape) -> None:
    """From the same numbers it computes the same function, to the bit, in evaluation and with dropout."""
    rival, cnn = build(name, seed=4, shape=shape), build("backprop-plain", seed=4, shape=shape)
    for part in ("image_path", "head"):
        ours, theirs = getattr(rival, part).state_dict(), getattr(cnn, part).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert rival.stack_parameter_count == cnn.stack_parameter_count
    x, _ = batch(8, shape)
    for training in (False, True):
        logits = []
        for method in (rival, cnn):
            torch.manual_seed(2)
            logits.append(method.train(training).predict(x, Generator()))
        assert torch.equal(*logits)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_hidden_shapes_are_those_of_the_layers_outputs(shape: TaskShape) -> None:
    method = build("dfa", shape=shape)
    h, seen = batch(4, shape)[0], []
    for layer in method.layers:
        h = layer(h)
        seen.append(tuple(h.shape[1:]))
    assert seen == hidden_shapes(shape)


def test_without_batch_norm_it_is_the_same_network_but_for_that() -> None:
    """So that target propagation's layers start from `backprop-plain`'s numbers."""
    rival, cnn = (build(name, seed=4).state_dict() for name in ("difference-target-propagation", "backprop-plain"))
    shared = [key for key in cnn if key in rival]
    assert {key for key in cnn if key not in shared} == {key for key in cnn if ".norm." in key}
    convolutions = [key for key in shared if "convolutions" in key]
    assert len(convolutions) == 6
    assert all(torch.equal(rival[key], cnn[key]) for key in (*convolutions, "image_path.linear.weight"))


@pytest.mark.parametrize("name", ALL)
def test_one_by_one_the_losses_have_the_gradients_of_their_sum(name: str) -> None:
    """`train_step` takes them one by one, replication over several processes all at once."""
    x, y = batch(16)
    gradients = []
    for one_by_one in (True, False):
        method = build(name)
        torch.manual_seed(3)
        if one_by_one:
            for loss in method.losses(x, y):
                loss.backward()
        else:
            method.loss(x, y).backward()
        gradients.append([p.grad for p in method.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ALL)
def test_it_can_be_replicated_over_several_processes(name: str) -> None:
    assert share_of(build(name), 2) is None


def held(name: str, shape: TaskShape) -> int:
    """Bytes held for backward at the peak of a step on 32 images."""
    method = build(name, shape=shape)
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(*batch(32, shape))
    return meter.peak_bytes


@pytest.mark.parametrize("shape", [TaskShape(1, 28, 28, 10), TaskShape(3, 32, 32, 10)], ids=str)
def test_memory_is_saved_where_layers_are_trained_one_after_another_and_only_there(
    shape: TaskShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other two have to wait for the output's error with all activations in hand.

    Where layers are compiled, `local-loss` saves as much as its similarities take, but for the dropout that only the
    reference has in the pass of pooling.
    """
    compiled = {name: held(name, shape) for name in ("backprop-plain", "local-loss", "mono-forward")}
    assert compiled["mono-forward"] < 0.75 * compiled["backprop-plain"]
    assert compiled["local-loss"] < 1.1 * compiled["backprop-plain"]
    with monkeypatch.context() as apart:
        apart.setattr(layers.Convolutions, "forward", nn.Sequential.forward)
        assert max(compiled["local-loss"], compiled["mono-forward"] / 0.75) < held("backprop-plain", shape)
    monkeypatch.setattr(layers, "functions", lambda dtype: None)
    reference = held("backprop-plain", shape)
    assert held("local-loss", shape) < 0.75 * reference
    for name in ("dfa", "difference-target-propagation"):
        assert held(name, shape) == pytest.approx(reference, rel=0.05)
