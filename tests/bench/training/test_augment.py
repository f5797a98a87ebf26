"""Shifts and mirror images: known answers, what is possible at all, and that all who train see the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from bench.training.augment import Changes, augmentation, record_of
from bench.training.loop import DeviceData, Part, batches, draw_order, train_epoch
from results.conditions import Augment, AugmentationRecord
from tests.bench.stubs import Recorder, make_part, recorder

CPU = torch.device("cpu")
IMAGES = torch.arange(1, 1 + 2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)


def changes(down: list[int], right: list[int], mirrored: list[bool]) -> Changes:
    return Changes(torch.tensor(down), torch.tensor(right), torch.tensor(mirrored))


def by_hand(image: Tensor, down: int, right: int, mirrored: bool) -> Tensor:
    """One image at a time, pixel by pixel."""
    _, height, width = image.shape
    if mirrored:
        image = image.flip(2)
    made = torch.zeros_like(image)
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                made[:, i, j] = image[:, i - down, j - right]
    return made


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (-1, 0), (0, 2), (0, -2), (2, -3), (-4, 5)])
def test_known_answers(down: int, right: int, mirrored: bool) -> None:
    cut = changes([0, down], [0, right], [False, mirrored]).cut(IMAGES, torch.tensor([1, 0, 1]))
    assert cut.dtype == torch.uint8
    assert torch.equal(cut[1], IMAGES[0])
    for image in (cut[0], cut[2]):
        assert torch.equal(image, by_hand(IMAGES[1], down, right, mirrored))


def test_the_stored_images_stay_as_they_are() -> None:
    before = IMAGES.clone()
    changes([1, 1], [1, 1], [True, True]).cut(IMAGES, torch.tensor([0, 1])).fill_(9)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize(("side", "most"), [(8, 1), (28, 3), (32, 4), (7, 0)])
def test_shifts_are_up_to_an_eighth_of_the_side_and_all_as_likely(side: int, most: int) -> None:
    record = record_of("standard", (1, side, 2 * side), flip=True)
    assert record == AugmentationRecord(shift=(most, 2 * side // 8), flip=True)
    draw = augmentation(record, 0, CPU)
    assert draw is not None
    drawn = draw(20_000)
    for shifts, reach in ((drawn.down, most), (drawn.right, 2 * side // 8)):
        counts = (shifts + reach).bincount()
        assert len(counts) == 2 * reach + 1
        assert counts.min() > 0.85 * 20_000 / len(counts)
    assert 0.48 < drawn.mirrored.float().mean() < 0.52
    assert abs(np.corrcoef(drawn.right, drawn.mirrored)[0, 1]) < 0.03


def test_nothing_is_mirrored_where_classes_do_not_allow_it() -> None:
    draw = augmentation(record_of("standard", (1, 8, 8), flip=False), 0, CPU)
    assert draw is not None
    assert not draw(1000).mirrored.any()


def test_none_is_none() -> None:
    assert record_of("none", (1, 8, 8), flip=True) is None
    assert augmentation(None, 0, CPU) is None


def pictures(count: int = 12) -> DeviceData:
    """Images of 8 x 8 that say by each pixel where it was."""
    x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) + torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    part = Part(x, torch.arange(count) % 3)
    one = torch.ones(1, 1, 1, 1)
    return DeviceData(part, make_part(3), make_part(3), mean=0 * one, std=one)


class Watcher(Recorder):
    """Keeps the images that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[Tensor] = []

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        self.images.append(x.clone())
        return super().train_step(x, y)


class Twice(Watcher):
    """Goes through each epoch's batches twice, and draws random numbers of its own."""

    num_passes = 2
    draws = 1000


def seen(cls: type[Watcher], augment: Augment = "standard") -> list[Tensor]:
    """What is seen in two epochs, batch by batch."""
    method = recorder(cls)
    assert isinstance(method, Watcher)
    draw = augmentation(record_of(augment, (1, 8, 8), flip=True), 3, CPU)
    order = Generator().manual_seed(3)
    for _ in range(2):
        train_epoch(method, pictures(), 4, order, lambda *told: None, draw)
    return method.images


def test_every_method_sees_the_same_images_in_every_pass() -> None:
    once, twice = seen(Watcher), seen(Twice)
    assert len(once) == 6
    expected = [*once[:3], *once[:3], *once[3:], *once[3:]]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(twice, expected, strict=True))


def test_what_is_seen_is_the_changed_images_in_the_usual_order() -> None:
    """Each of the images, in its place, shifted by a pixel at most."""
    for changed, plain in zip(seen(Watcher), seen(Watcher, "none"), strict=True):
        assert not torch.equal(changed, plain)
        for image, original in zip(changed[:, 0], plain, strict=True):
            possible = [by_hand(original, i, j, flip) for i in (-1, 0, 1) for j in (-1, 0, 1) for flip in (True, False)]
            assert any(torch.equal(image, each[0]) for each in possible)


def test_each_epoch_and_seed_has_changes_of_its_own() -> None:
    draws = [augmentation(record_of("standard", (1, 8, 8), flip=True), seed, CPU) for seed in (1, 1, 2)]
    first, again, other = (draw(50) for draw in draws if draw)
    assert torch.equal(first.down, again.down)
    assert not torch.equal(first.down, other.down)
    assert draws[0] is not None
    assert not torch.equal(first.down, draws[0](50).down)


def test_batches_are_the_same_images_as_without() -> None:
    """Changed, but in the same order and with their labels: the order has a stream of its own."""
    part = pictures().train
    order = draw_order(part, Generator().manual_seed(0))
    still = changes([0] * 12, [0] * 12, [False] * 12)
    for (x, y), (plain, labels) in zip(batches(part, 4, order, still), batches(part, 4, order), strict=True):
        assert torch.equal(x, plain)
        assert torch.equal(y, labels)
