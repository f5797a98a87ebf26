"""Diagnoses against hand-made blocks with known answers."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

import methods
from methods.networks.embedding import nearest
from methods.networks.inference import Probe, diagnose
from tests.methods.helpers import batch, build, real_digits, same, snapshot, train

EMBEDDINGS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
X = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
"""The images say the class in their one number."""
Y = torch.tensor([0, 1, 1, 0])
BATCHES = [(X[:3], Y[:3]), (X[3:], Y[3:])]


def look(*probes: Probe, chain=lambda features, generator: []):  # type: ignore[no-untyped-def]
    return diagnose(BATCHES, EMBEDDINGS, lambda x: [x], list(probes), chain, Generator().manual_seed(0))


def copies_z(features: list[Tensor], z: Tensor) -> Tensor:
    return z


def reads_the_image(features: list[Tensor], z: Tensor) -> Tensor:
    return EMBEDDINGS[features[0][:, 0].long()]


def clean(u: Tensor, generator: Generator) -> Tensor:
    return u


def test_a_block_that_copies_its_label_has_learned_nothing_of_the_image() -> None:
    (block,) = look(Probe(0.5, 3.0, clean, copies_z)).blocks
    assert (block.own_accuracy, block.denoising_error) == (1.0, 0.0)
    assert block.image_accuracy < 1
    assert (block.time, block.snr_weight) == (0.5, 3.0)


def test_a_block_that_reads_the_image_needs_no_label() -> None:
    (block,) = look(Probe(0.0, None, clean, reads_the_image)).blocks
    assert (block.own_accuracy, block.image_accuracy, block.denoising_error) == (1.0, 1.0, 0.0)
    assert block.snr_weight is None


def test_denoising_error_is_the_mean_over_all_images_of_all_batches() -> None:
    """An answer of zero has error 1; half the embedding has a quarter of it; one wrong image counts for one."""
    zero, half = look(
        Probe(0.0, None, clean, lambda features, z: 0 * z), Probe(0.0, None, clean, lambda features, z: z / 2)
    ).blocks
    assert zero.denoising_error == pytest.approx(1)
    assert half.denoising_error == pytest.approx(0.25)
    only_zero = look(Probe(0.0, None, clean, lambda features, z: EMBEDDINGS[0].expand(len(z), -1))).blocks[0]
    assert only_zero.own_accuracy == 0.5
    assert only_zero.denoising_error == pytest.approx(2 * 5 / (4 + 1 + 1 + 4))


def test_steps_are_averaged_over_batches() -> None:
    def chain(features: list[Tensor], generator: Generator):  # type: ignore[no-untyped-def]
        n = len(features[0])
        yield 0.0, torch.tensor([1.0, 0.0]).expand(n, 2)
        yield 1.0, nearest(reads_the_image(features, torch.empty(0)), EMBEDDINGS)

    found = look(chain=chain)
    assert found.images == 4
    assert found.blocks == ()
    assert found.steps == ((0.0, 0.5), (1.0, 1.0))


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        diagnose([], EMBEDDINGS, lambda x: [x], [], lambda features, generator: [], Generator())


def test_nearest_is_the_nearest() -> None:
    z = torch.randn(50, 2, generator=Generator().manual_seed(0))
    assert torch.equal(nearest(z, EMBEDDINGS).argmax(dim=1), torch.cdist(z, EMBEDDINGS).argmin(dim=1))


def small(name: str):  # type: ignore[no-untyped-def]
    known = methods.get(name).Options.parse({}).as_dict()
    return build(name, **{key: value for key, value in {"T": 3, "steps": 6}.items() if key in known})


@pytest.mark.parametrize("name", sorted(methods.available()))
def test_looking_changes_nothing(name: str) -> None:
    method = small(name)
    method.eval()
    before, state = snapshot(method), torch.get_rng_state()
    first = method.diagnose([batch(16)], Generator().manual_seed(1))
    assert same(before, method)
    assert torch.equal(state, torch.get_rng_state())
    assert first == method.diagnose([batch(16)], Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["backprop", "backprop-checkpoint"])
def test_the_way_of_inference_ends_where_prediction_does(name: str) -> None:
    """These have no probes that draw noise first, so one seed gives both the same noise."""
    method = small(name)
    method.eval()
    x, _ = batch(64)
    predicted = method.predict(x, Generator().manual_seed(2)).argmax(dim=1)
    found = method.diagnose([(x, predicted)], Generator().manual_seed(2))
    assert [time for time, _ in found.steps] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert found.steps[-1] == (1.0, 1.0)


def test_blocks_of_noprop_are_looked_at_at_their_own_noise() -> None:
    """After training, a late block does well on its own task and badly on pure noise; weights are the schedule's."""
    x, y, x_test, y_test = real_digits()
    method = build("noprop", T=4)
    train(method, x, y, epochs=10)
    found = method.diagnose([(x_test, y_test)], Generator().manual_seed(0))
    assert [block.time for block in found.blocks] == [0.0, 0.25, 0.5, 0.75]
    assert [block.snr_weight for block in found.blocks] == list(method.schedule.weight)
    assert found.blocks[-1].own_accuracy > 0.97
    assert found.blocks[-1].image_accuracy < found.blocks[-1].own_accuracy - 0.2
    assert found.blocks[0].image_accuracy == pytest.approx(found.blocks[0].own_accuracy, abs=0.05)
    assert found.blocks[-1].denoising_error < found.blocks[0].denoising_error
    assert found.steps[-1][1] > 0.8
    assert found.steps[0][1] < 0.25
