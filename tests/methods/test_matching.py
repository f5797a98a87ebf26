"""What makes the comparison fair: the same stack, the same start, and rivals that are what they claim to be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.core.method import TaskShape
from methods.core.training_images import TrainingImages
from methods.networks.backbone import ImagePath
from tests.methods.helpers import SHAPE, accuracy, batch, build, plain_sgd, real_digits, snapshot, train

STACKED = ("noprop", "noprop-attached", "backprop", "backprop-checkpoint")
VARIANTS: list[dict[str, str]] = [{}, {"embedding": "learned"}, {"decoder": "tanh"}, {"embedding": "learned", "T": "3"}]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_matched_methods_start_from_the_same_stack(options: dict[str, str]) -> None:
    unscaled = {name: {} if name == "noprop" else {"head_scale": 1.0} for name in STACKED}
    built = {name: build(name, seed=7, **options, **unscaled[name]) for name in STACKED}
    counts = {method.stack_parameter_count for method in built.values()}
    assert len(counts) == 1
    reference = built["noprop"].net.state_dict()
    for method in built.values():
        assert all(torch.equal(reference[key], value) for key, value in method.net.state_dict().items())
    # All that backprop has besides is one scalar a block, which joins it to the next.
    assert built["backprop"].parameter_count - built["noprop"].parameter_count == built["noprop"].options.T


@pytest.mark.parametrize("name", ["backprop", "backprop-deep-supervision", "noprop-attached", "adjoint"])
@pytest.mark.parametrize("embedding", ["onehot", "learned"])
def test_what_learns_by_cross_entropy_can_be_sure_of_a_class_from_the_start(name: str, embedding: str) -> None:
    """At the scale of `noprop`, which classifies a noised label, a perfect answer has a loss of 1.46."""
    classes = torch.arange(SHAPE.num_classes)
    losses = []
    for scale in (1.0, 10.0):
        method = build(name, embedding=embedding, head_scale=scale)
        head, weight = (
            (method.head, method.embedding.weight)
            if name == "adjoint"
            else (method.net.head, method.net.embedding.weight)
        )
        losses.append(nn.functional.cross_entropy(head(weight), classes).item())
    assert losses[0] > 1.4
    assert losses[1] < 0.001


def test_logits_keep_their_scale_when_the_embedding_gets_its_first_values() -> None:
    x, y, _, _ = real_digits()
    heads = []
    for scale in (1.0, 10.0):
        method = build("backprop", embedding="prototype", T=1, head_scale=scale)
        method.init_from_data(TrainingImages(lambda: (x, y), 10))
        heads.append(method.net.head)
    torch.testing.assert_close(heads[1].weight, 10 * heads[0].weight)
    torch.testing.assert_close(heads[1].bias, 10 * heads[0].bias)


def test_the_practitioners_network_is_one_image_path_of_the_stack() -> None:
    cnn, noprop = build("backprop-plain"), build("noprop", T=1)
    in_stack = sum(p.numel() for p in noprop.net.blocks[0].image_path.parameters())
    assert cnn.stack_parameter_count == in_stack


@pytest.mark.parametrize("embedding", ["onehot", "learned", "prototype"])
def test_checkpointing_is_backprop_to_the_last_update(embedding: str) -> None:
    """Same losses, parameters and running statistics: dropout is replayed, and no batch is counted twice."""
    both = ("backprop", "backprop-checkpoint")
    plain, checkpointed = (build(name, seed=3, T=3, embedding=embedding) for name in both)
    states = []
    for method in (plain, checkpointed):
        torch.manual_seed(11)
        method.losses = [float(method.train_step(*batch(seed=step))) for step in range(4)]
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    assert plain.losses == pytest.approx(checkpointed.losses, rel=1e-5)
    expected = snapshot(plain)
    for key, value in checkpointed.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-6, msg=key)


def test_backprop_joins_blocks_as_the_paper_says() -> None:
    """z_t = (1 - w) z + w u_hat with w = tanh of the scalar: w = 0 passes z on, w near 1 replaces it."""
    method = build("backprop", T=1)
    method.eval()
    x, _ = batch(4)
    z = torch.randn(4, 10)
    estimate = method.net.estimate(1, x, z)
    for scalar in (0.0, 0.4, 20.0):
        method.mix.data.fill_(scalar)
        w = torch.tanh(torch.tensor(scalar))
        torch.testing.assert_close(method._apply_block(1, x, z), (1 - w) * z + w * estimate)


def test_backprop_uses_every_block_and_learns_how_to_join_them() -> None:
    x, y, _, _ = real_digits()
    method = build("backprop", T=3, make_optimizer=plain_sgd)
    start = [value.clone() for value in (method.mix, *method.net.blocks.parameters())]
    train(method, x[:512], y[:512], epochs=1)
    moved = zip(start, (method.mix, *method.net.blocks.parameters()), strict=True)
    assert all(bool((old != new).any()) for old, new in moved)
    assert bool((method.mix != start[0]).all())


@pytest.mark.parametrize(("num_blocks", "noise_left"), [(1, 2**-10), (4, 2**-10), (10, 2**-10), (20, 2**-20)])
def test_backprop_starts_with_little_of_its_noise_at_any_depth(num_blocks: int, noise_left: float) -> None:
    mix = build("backprop", T=num_blocks).mix
    assert bool((mix == mix[0]).all())
    torch.testing.assert_close((1 - mix.tanh()).prod(), torch.tensor(noise_left), rtol=1e-3, atol=0)


def test_a_single_block_of_backprop_is_not_left_with_its_noise() -> None:
    """It learns as an image classifier does: the noise that it starts from is not half of its output."""
    x, y, test_x, test_y = real_digits()
    method = build("backprop", T=1)
    train(method, x, y, epochs=5)
    assert accuracy(method, test_x, test_y) > 0.8


def test_pooling_before_relu_is_the_same_function() -> None:
    path = ImagePath(TaskShape(3, 32, 24, 10), features="mean")
    path.eval()
    x = torch.randn(4, 3, 32, 24)
    y = x
    for layer in path.convolutions:
        if isinstance(layer, nn.Conv2d):
            y = nn.functional.max_pool2d(nn.functional.conv2d(y, layer.weight, layer.bias, padding=1).relu(), 2)
    expected = path.norm(path.linear(y.mean(dim=(2, 3))))
    torch.testing.assert_close(path(x), expected)


def test_flattened_features_keep_positions_and_averaged_ones_do_not() -> None:
    """Moving what the last map sees changes the one and not the other; on a map of one pixel they are the same."""
    h = torch.randn(4, 128, 4, 3)
    for features, inputs in (("mean", 128), ("flatten", 128 * 12)):
        path = ImagePath(TaskShape(3, 32, 24, 10), features=features).eval()
        assert path.linear.in_features == inputs
        assert torch.allclose(path.last(h), path.last(h.flip(3)), atol=1e-5) == (features == "mean")
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(
        build("backprop-plain", features="flatten", shape=TaskShape(1, 8, 8, 10)).eval().predict(x, torch.Generator()),
        build("backprop-plain", features="mean", shape=TaskShape(1, 8, 8, 10)).eval().predict(x, torch.Generator()),
    )


def test_an_estimate_is_a_mean_of_class_embeddings() -> None:
    method = build("noprop", T=1)
    method.eval()
    estimate = method.net.estimate(1, batch(16)[0], torch.randn(16, 10))
    torch.testing.assert_close(estimate.sum(dim=1), torch.ones(16))
    assert bool((estimate >= 0).all())


def test_learned_embeddings_start_orthonormal_and_the_classifier_starts_from_them() -> None:
    method = build("noprop", T=1, embedding="learned", embedding_dim=24)
    weight = method.net.embedding.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(SHAPE.num_classes), rtol=0, atol=1e-5)
    torch.testing.assert_close(method.net.head.weight, weight)
    assert torch.equal(method.net.head(weight).argmax(dim=1), torch.arange(SHAPE.num_classes))
