"""Local losses: every layer by its own, none through another, and the losses those of the paper's equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import methods
from methods.local_loss import LocalLoss, LocalLossOptions, similarities
from tests.methods.helpers import batch, build, later_layers_do_not_matter, real_digits, snapshot, train

LOSSES = ("predsim", "pred", "sim")


def layer_parameters(method: Any) -> list[list[Tensor]]:
    """Those of each hidden layer with its local loss, then the head's."""
    convolutions = [m for m in method.image_path.convolutions if isinstance(m, torch.nn.Conv2d)]
    modules = [[c] for c in convolutions] + [[method.image_path.linear, method.image_path.norm]]
    hidden = [[*layers, local] for layers, local in zip(modules, method.local_losses, strict=True)]
    return [[p for module in layer for p in module.parameters()] for layer in [*hidden, [method.head]]]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_layer_s_loss_reaches_that_layer_and_no_other(loss: str) -> None:
    method = build("local-loss", loss=loss)
    layers = layer_parameters(method)
    assert sum(map(len, layers)) == len(list(method.parameters()))
    for number, value in enumerate(method.losses(*batch())):
        value.backward()
        for other, parameters in enumerate(layers):
            assert {p.grad is not None for p in parameters} == {other == number}
        method.zero_grad()


def test_a_later_layer_changes_nothing_for_an_earlier_one() -> None:
    later_layers_do_not_matter("local-loss", layer_parameters)


def test_the_losses_are_the_paper_s() -> None:
    """(1 - beta) L_pred + beta L_sim, written out for one layer in float64."""
    torch.manual_seed(0)
    h, y = torch.rand(6, 4, 5, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 1])
    values = {}
    for loss in LOSSES:
        torch.manual_seed(1)
        local = LocalLoss((4, 5, 5), 3, LocalLossOptions(loss=loss, beta=0.7, classifier_dim=16)).double()  # type: ignore[arg-type]
        state = local.state_dict()
        values[loss] = local(h, y)
        if loss == "pred":
            weight, bias = state["_classifier.weight"], state["_classifier.bias"]
            pooled = F.adaptive_avg_pool2d(h, 2).flatten(1)  # 4 channels on 2 x 2 positions: 16 inputs
            picked = (pooled @ weight.T + bias).log_softmax(1)[range(6), y]
            torch.testing.assert_close(values[loss], -picked.mean())
        if loss == "sim":
            features = F.conv2d(h, state["_features.weight"], padding=1).flatten(2).std(dim=2)
            error = torch.corrcoef(features) - torch.corrcoef(F.one_hot(y).double())
            torch.testing.assert_close(values[loss], error.square().mean(), rtol=1e-5, atol=1e-7)
        if loss == "predsim":
            both = local.state_dict()
    torch.manual_seed(1)
    parts = [
        LocalLoss((4, 5, 5), 3, LocalLossOptions(loss=kind, classifier_dim=16)).double() for kind in ("pred", "sim")
    ]
    for part in parts:
        part.load_state_dict({key: both[key] for key in part.state_dict()})
    torch.testing.assert_close(values["predsim"], 0.3 * parts[0](h, y) + 0.7 * parts[1](h, y))


def test_similarities_of_vectors_are_correlations() -> None:
    torch.manual_seed(0)
    features = torch.randn(7, 5, dtype=torch.float64)
    torch.testing.assert_close(similarities(features), torch.corrcoef(features))
    on_one_position = features.view(7, 5, 1, 1)
    torch.testing.assert_close(similarities(on_one_position), similarities(features))


def test_an_image_without_features_has_a_gradient_all_the_same() -> None:
    h = torch.zeros(4, 3, 6, 6, requires_grad=True)
    for loss in LOSSES:
        local = LocalLoss((3, 6, 6), 2, LocalLossOptions(loss=loss))  # type: ignore[arg-type]
        local(h, torch.tensor([0, 1, 0, 1])).backward()
        assert h.grad is not None
        assert bool(h.grad.isfinite().all())
        assert all(bool(p.grad.isfinite().all()) for p in local.parameters() if p.grad is not None)


@pytest.mark.parametrize(("dim", "expected"), [(1, 32), (127, 32), (128, 128), (10**5, 32 * 14 * 14)])
def test_a_classifier_has_at_most_so_many_inputs_but_one_position(dim: int, expected: int) -> None:
    local = LocalLoss((32, 14, 14), 10, LocalLossOptions(classifier_dim=dim))
    assert local.state_dict()["_classifier.weight"].shape == (10, expected)


@pytest.mark.parametrize("values", [{"beta": "0"}, {"beta": "1"}, {"classifier_dim": "0"}, {"loss": "all"}], ids=str)
def test_options_out_of_range(values: dict[str, str]) -> None:
    with pytest.raises(methods.MethodError, match=next(iter(values))):
        methods.get("local-loss").Options.parse(values)


def test_layers_below_the_head_learn_the_classes() -> None:
    """Trained without the head, the last hidden layer's output brings images of a class together."""
    x, y, _, _ = real_digits()
    method = build("local-loss", loss="sim")

    def error() -> float:
        h = x[:200]
        for layer in method.eval().layers:
            h = layer(h)
        return float((similarities(h) - similarities(F.one_hot(y[:200]))).square().mean().detach())

    head, before = snapshot(method.head), error()
    train(method, x, y, epochs=4)
    assert error() < 0.5 * before
    assert not torch.equal(head["weight"], method.head.weight)
