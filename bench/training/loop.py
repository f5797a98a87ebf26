"""The one training loop and the one evaluation, for every method.

Data live on the device as uint8 tensors. The order of images is drawn from a seeded generator, so at the same seed
every method sees the same images, augmented alike, in the same batches. A last incomplete batch is left out of its
epoch (the order is new each epoch), since batch norm cannot use a batch of one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from bench.datasets.split import Splits
from bench.training.augment import Augmentation, Changes
from methods.core.method import Method

_PROGRESS_EVERY_SECONDS = 0.25


class TrainingError(RuntimeError):
    """Training cannot go on; the message is one sentence."""


@dataclass(frozen=True)
class Part:
    """Images (uint8, (N, C, H, W)) and labels (int64, (N,)) of one part, on the device."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class DeviceData:
    """A data set's three parts on the device, and the mean and SD that normalise its images."""

    train: Part
    val: Part
    test: Part
    mean: Tensor
    std: Tensor

    @classmethod
    def place(cls, splits: Splits, device: torch.device) -> DeviceData:
        """Move the parts to the device."""
        return cls(
            train=Part(splits.x_train.to(device), splits.y_train.to(device)),
            val=Part(splits.x_val.to(device), splits.y_val.to(device)),
            test=Part(splits.x_test.to(device), splits.y_test.to(device)),
            mean=per_channel(splits.mean, device),
            std=per_channel(splits.std, device),
        )

    def images(self, x: Tensor) -> Tensor:
        """Stored images to network input: float32, normalised, channels last."""
        return normalised(x, self.mean, self.std)


def per_channel(values: Sequence[float], device: torch.device) -> Tensor:
    """A mean or deviation in [0, 1] pixel units for `normalised`: (1, C, 1, 1), in units of stored pixels."""
    return torch.tensor(values, device=device).view(1, -1, 1, 1) * 255


def normalised(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Stored images (uint8, (N, C, H, W)) to network input: float32, normalised, channels last."""
    return x.to(torch.float32, memory_format=torch.channels_last).sub_(mean).div_(std)


def draw_order(part: Part, generator: Generator) -> Tensor:
    """A new random order of a part's images, on their device."""
    return torch.randperm(len(part), generator=generator).to(part.y.device)


def batches(
    part: Part, batch_size: int, order: Tensor, changes: Changes | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's batches in that order: stored images, changed if asked for, and labels.

    With fewer images than `batch_size` there is one batch, of all of them.
    """
    for number in range(batch_count(len(part), batch_size)):
        index = order[number * batch_size : (number + 1) * batch_size]
        yield part.x[index] if changes is None else changes.cut(part.x, index), part.y[index]


def first_batch(data: DeviceData, batch_size: int) -> tuple[Tensor, Tensor]:
    """One training batch, ready for a network, always the same: for what comes before or after training."""
    x, y = next(batches(data.train, batch_size, draw_order(data.train, Generator().manual_seed(0))))
    return data.images(x), y


def check_loss(loss: Tensor) -> None:
    """Check what a training step returned.

    Raises:
        TrainingError: it is no scalar, or it has a graph, which would be kept in memory for a whole epoch.
    """
    if not isinstance(loss, Tensor) or loss.shape != () or loss.requires_grad:
        kind = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        graph = " with a graph" if getattr(loss, "requires_grad", False) else ""
        raise TrainingError(f"train_step returned {kind}{graph}; expected the loss, a scalar tensor that is detached")


def batch_count(images: int, batch_size: int) -> int:
    """Batches in an epoch."""
    return max(1, images // batch_size)


class Learner(Protocol):
    """What the training loop needs of a method, or of this process's part of it."""

    num_passes: int

    def start_pass(self, number: int) -> None:
        """As `Method.start_pass`."""

    def train(self) -> object:
        """Before an epoch."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """As `Method.train_step`: images and labels of the whole batch."""


@dataclass(frozen=True)
class TrainedEpoch:
    """Mean loss, images and seconds of an epoch of training."""

    loss: float
    images: int
    seconds: float


def train_epoch(
    learner: Learner,
    data: DeviceData,
    batch_size: int,
    generator: Generator,
    on_progress: Callable[[int, float, float], None],
    augmentation: Augmentation | None = None,
) -> TrainedEpoch:
    """Train for one epoch; the clock covers making batches, the steps, and at most four reports of progress a second.

    Args:
        learner: The method, set up.
        data: Its data.
        batch_size: Images per batch.
        generator: Draws the order of the images.
        on_progress: Called with the images seen, the loss and the images per second so far in this epoch; where a
            method goes through the batches several times, an image counts in parts.
        augmentation: Draws the images' changes, once for all passes; None: they stay as they are.

    Raises:
        TrainingError: the loss is not a finite number.
    """
    learner.train()
    device = data.train.y.device
    total = torch.zeros((), device=device)
    given, passes = 0, learner.num_passes
    synchronize(device)
    start = last = time.perf_counter()
    order = draw_order(data.train, generator)
    changes = None if augmentation is None else augmentation(len(data.train))
    for number in range(passes):
        learner.start_pass(number)
        for x, y in batches(data.train, batch_size, order, changes):
            total += learner.train_step(data.images(x), y) * len(y)
            given += len(y)
            now = time.perf_counter()
            if now - last > _PROGRESS_EVERY_SECONDS:
                last = now
                on_progress(given // passes, float(total) / given * passes, given / passes / (now - start))
    synchronize(device)
    seconds = time.perf_counter() - start
    images = given // passes
    loss = float(total) / images
    if not math.isfinite(loss):
        raise TrainingError(f"training diverged: the loss is {loss}")
    return TrainedEpoch(loss, images, seconds)


def evaluate(method: Method, data: DeviceData, part: Part, batch_size: int, seed: int) -> Tensor:
    """Which images of a part the method gets right, bool (N,) on the CPU; `accuracy` makes a number of it.

    The method's initial noise comes from its own generator, the same at every call. Batches have the training's size,
    so that training sets the peak of memory.

    Raises:
        TrainingError: predictions are not one number per image and class, or some are NaN.
    """
    method.eval()
    generator = Generator(part.y.device).manual_seed(seed)
    right, broken = [], []
    with torch.no_grad():
        for x, y in labelled_images(data, part, batch_size):
            logits = method.predict(x, generator)
            expected = (len(y), method.shape.num_classes)
            if logits.shape != expected:  # would be compared with the labels in some other way
                raise TrainingError(f"predict returned shape {tuple(logits.shape)}; expected {expected}")
            right.append(logits.argmax(dim=1) == y)
            broken.append(logits.isnan().any(dim=1))
    if count := int(torch.cat(broken).sum()):
        raise TrainingError(f"predictions of {count:,} of {len(part):,} images are NaN")
    return torch.cat(right).cpu()


def accuracy(right: Tensor) -> float:
    """The fraction of images that are right, in [0, 1]."""
    return int(right.sum()) / len(right)


def class_accuracies(right: Tensor, labels: Tensor, num_classes: int) -> list[float]:
    """The fraction of each class's images that are right; every class has some.

    Args:
        right: Which images are, bool (N,).
        labels: int64 (N,), on any device.
        num_classes: K.
    """
    counts = torch.bincount(labels.cpu(), minlength=num_classes)
    return (torch.bincount(labels.cpu()[right], minlength=num_classes).double() / counts).tolist()


def labelled_images(
    data: DeviceData, part: Part, batch_size: int, limit: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of a part, or the first `limit`, ready for a network, and their labels, in batches."""
    for x, y in zip(torch.split(part.x[:limit], batch_size), torch.split(part.y[:limit], batch_size), strict=True):
        yield data.images(x), y


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that the clock covers its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
