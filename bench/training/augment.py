"""Augmentation: training images shifted and flipped at random, anew in each epoch, the same for every method.

All of an epoch's changes are drawn at its start, from their own stream: at the same seed every method gets the same
images, whatever it draws itself, in however many passes and processes it trains.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from bench.training.rng import Stream, seed_of
from results.conditions import Augment, AugmentationRecord

_SHIFT = 8
"""Shifts are up to one such part of the image's side."""


def record_of(augment: Augment, shape: tuple[int, int, int], *, flip: bool) -> AugmentationRecord | None:
    """What an augmentation does to images of shape (channels, height, width).

    `standard` shifts an image by up to an eighth of its height and width, in whole pixels, uniformly, and mirrors half
    of the images left to right where the classes allow it (`Dataset.flip`).
    """
    if augment == "none":
        return None
    _, height, width = shape
    return AugmentationRecord(shift=(height // _SHIFT, width // _SHIFT), flip=flip)


@dataclass(frozen=True)
class Changes:
    """The change of each image of a part in one epoch; all tensors (N,), on the images' device."""

    down: Tensor
    """Pixels, int64; negative is up."""
    right: Tensor
    """Pixels, int64; negative is to the left."""
    mirrored: Tensor
    """bool."""

    def cut(self, x: Tensor, index: Tensor) -> Tensor:
        """The images `index`, (batch,), of all images `x`, (N, C, H, W): mirrored, then shifted, filled with 0.

        Returns:
            (batch, C, H, W), of the same type.
        """
        _, channels, height, width = x.shape
        rows = torch.arange(height, device=x.device) - self.down[index, None]
        columns = torch.arange(width, device=x.device) - self.right[index, None]
        inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
        columns = torch.where(self.mirrored[index, None], width - 1 - columns, columns)
        source = (rows.clamp(0, height - 1) * width)[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
        pixels = source.flatten(1)[:, None].expand(-1, channels, -1)
        images = x[index].flatten(2).gather(2, pixels).view(-1, channels, height, width)
        return images * inside[:, None]


Augmentation = Callable[[int], Changes]
"""Draws the next epoch's changes for that many images."""


def augmentation(record: AugmentationRecord | None, seed: int, device: torch.device) -> Augmentation | None:
    """Start the stream of a cell's changes; None where images stay as they are."""
    if record is None:
        return None
    (most_down, most_right), flip = record.shift, record.flip
    generator = Generator().manual_seed(seed_of(seed, Stream.AUGMENTATION))

    def draw(images: int) -> Changes:
        down = torch.randint(-most_down, most_down + 1, (images,), generator=generator)
        right = torch.randint(-most_right, most_right + 1, (images,), generator=generator)
        mirrored = torch.rand(images, generator=generator) < (0.5 if flip else 0.0)
        return Changes(down.to(device), right.to(device), mirrored.to(device))

    return draw


def _within(index: Tensor, length: int) -> Tensor:
    return (index >= 0) & (index < length)
