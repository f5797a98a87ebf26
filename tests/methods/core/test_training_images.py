"""Prototypes against a brute-force search, and the embeddings that start from them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from methods.core import training_images as module
from methods.core.training_images import TrainingImages, prototypes
from tests.methods.helpers import SHAPE, batch, build, real_digits


def brute_force(x: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """The definition, one pair of images at a time."""
    chosen = []
    for k in range(num_classes):
        members = [image for image, label in zip(x, y, strict=True) if label == k]
        medians = []
        for i, image in enumerate(members):
            distances = sorted(float((image - other).norm()) for j, other in enumerate(members) if j != i)
            medians.append(distances[(len(distances) - 1) // 2] if distances else 0.0)
        chosen.append(members[medians.index(min(medians))])
    return torch.stack(chosen)


@pytest.mark.parametrize("rows", [3, 1000])
def test_prototypes_are_the_brute_force_answer(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(module, "_ROWS", rows)  # a class in several portions, and in one
    torch.manual_seed(0)
    x, y = torch.randn(61, 5), torch.arange(61) % 4
    torch.testing.assert_close(prototypes(x, y, 4), brute_force(x, y, 4))


def test_real_prototypes_are_training_images_of_their_class() -> None:
    x, y, _, _ = real_digits()
    found = TrainingImages(lambda: (x, y), 10).prototypes
    for k in range(10):
        assert bool((x[y == k].flatten(1) == found[k]).all(dim=1).any())


def test_one_image_is_its_own_prototype_and_none_is_refused() -> None:
    assert torch.equal(prototypes(torch.tensor([[2.0, 1.0]]), torch.tensor([0]), 1), torch.tensor([[2.0, 1.0]]))
    with pytest.raises(ValueError, match="class 1 has no training image"):
        prototypes(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), 2)


def test_they_are_computed_once() -> None:
    calls = []

    def load() -> tuple[Tensor, Tensor]:
        calls.append(1)
        return batch(100)

    images = TrainingImages(load, 10)
    assert torch.equal(images.prototypes, images.prototypes)
    assert len(calls) == 1


STACKS = ("noprop", "noprop-attached", "backprop", "backprop-checkpoint")


@pytest.mark.parametrize("name", [*STACKS, "noprop-ct", "noprop-fm", "adjoint"])
def test_embeddings_start_from_them_and_the_classifier_names_them(name: str) -> None:
    x, y, _, _ = real_digits()
    images = TrainingImages(lambda: (x, y), 10)
    method = build(name, embedding="prototype", **({"T": 1} if name in STACKS else {}))
    method.init_from_data(images)
    parts = {type(part).__name__: part for part in method.modules()}
    torch.testing.assert_close(parts["ClassEmbedding"].weight.detach(), images.prototypes)
    logits = parts["EmbeddingClassifier"](images.prototypes)
    assert torch.equal(logits.argmax(dim=1), torch.arange(10))
    # The rule of the nearest embedding, so it also holds between two of them.
    between = 0.6 * images.prototypes[3] + 0.4 * images.prototypes[8]
    assert int(parts["EmbeddingClassifier"](between).argmax()) == 3


def test_noised_prototypes_go_through_a_cnn_like_the_images() -> None:
    method = build("noprop", T=1, embedding="prototype")
    block = method.net.blocks[0]
    assert method.net.embedding.dim == SHAPE.height * SHAPE.width
    image = {key: value.shape for key, value in block.image_path.state_dict().items()}
    label = {key: value.shape for key, value in block.label_path.path.state_dict().items()}
    assert image == label
    # A pixel of z is a pixel of the picture: the path sees z as the image that it flattens.
    block.eval()
    z = torch.randn(2, 64)
    torch.testing.assert_close(block.label_path(z), block.label_path.path(z.view(2, 1, 8, 8)))
