"""What is timed: random images of a shape, and a method built for them as a cell builds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Generator, Tensor

from bench.datasets.registry import RawData
from bench.datasets.split import make_splits
from bench.planning.method_spec import parse_methods
from bench.planning.plan import SPLIT_SEED
from bench.planning.presets import OPTIMIZER, PRESETS
from bench.training.build import MethodBuilder
from bench.training.loop import DeviceData, Part, batches, draw_order
from bench.training.rng import Stream, seed_of
from methods.core.method import Method
from results.schema import CellConfig, DataRecord

CPU = "cpu"
CLASSES = 10
BATCH_SIZE = PRESETS["standard"].batch_size
QUICKEST = "backprop-plain"
"""The method with the shortest training step: the one in which a cost of the harness's own weighs most."""
EPOCH_STEPS = 8
"""Training steps an epoch, about as many as on digits: a fixed cost of an epoch weighs as it does there."""
EVALUATED_BATCHES = 2
SEED = 0


@dataclass(frozen=True)
class Sizes:
    """Images of each part of the data."""

    train: int
    val: int
    test: int

    @classmethod
    def usual(cls, batch_size: int) -> Sizes:
        """What one call of a method, or of the training loop, is timed on."""
        return cls(EPOCH_STEPS * batch_size, batch_size, EVALUATED_BATCHES * batch_size)

    @classmethod
    def as_mnist(cls, batch_size: int) -> Sizes:
        """In MNIST's proportions, 54,000 to 6,000 to 10,000: nine training steps an epoch, one batch of validation."""
        return cls(9 * batch_size, batch_size, 9 * batch_size * 10 // 54)


@dataclass(frozen=True)
class Subject:
    """A method ready to be timed, and what it is given."""

    name: str
    method: Method
    data: DeviceData
    record: DataRecord
    config: CellConfig

    def batch(self) -> tuple[Tensor, Tensor]:
        """The first training batch, as a training step is given it."""
        return self.epoch()[0]

    def epoch(self) -> list[tuple[Tensor, Tensor]]:
        """Every training batch, as a training step is given it."""
        drawn = batches(self.data.train, self.config.batch_size, draw_order(self.data.train, self.order()))
        return [(self.data.images(x), y) for x, y in drawn]

    def order(self) -> Generator:
        """The generator of the order of training images, as a cell starts with it."""
        return Generator().manual_seed(seed_of(SEED, Stream.ORDER))

    def noise(self) -> Generator:
        """The generator that predictions start from."""
        return Generator().manual_seed(seed_of(SEED, Stream.EVALUATION))


def make_subject(
    name: str,
    shape: tuple[int, int, int],
    batch_size: int,
    threads: int,
    sizes: Sizes | None = None,
    *,
    amp: bool = False,
) -> Subject:
    """Build a method at its default options for random images.

    Args:
        name: of a registered method.
        shape: (channels, height, width) of one image.
        batch_size: images a batch.
        threads: to write down; setting them is the caller's.
        sizes: of the parts of the data; None: the usual ones.
        amp: whether its forward passes compute in bfloat16.
    """
    sizes = sizes or Sizes.usual(batch_size)
    data, record = _images(shape, sizes)
    preset = PRESETS["standard"]
    (spec,) = parse_methods(name, {})
    config = CellConfig(
        preset="standard",
        epochs=1,
        batch_size=batch_size,
        lr=preset.lr,
        weight_decay=preset.weight_decay,
        optimizer=OPTIMIZER,
        train_size=sizes.train,
        split_seed=SPLIT_SEED,
        device=CPU,
        threads=threads,
        options=spec.options,
        amp=amp,
    )
    return Subject(name, MethodBuilder.on(data, record, name, config, SEED).make(), data, record, config)


@cache
def _images(shape: tuple[int, int, int], sizes: Sizes) -> tuple[DeviceData, DataRecord]:
    """Balanced labels and uniform noise, through the splits that real data go through."""
    enough = 2 * sizes.train  # a tenth is held out for validation, and no class may run short
    random = np.random.default_rng(SEED)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        return random.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count, dtype=np.int64) % CLASSES

    raw = RawData(*part(enough), *part(sizes.test), "random numbers", verified=None, partial=False)
    splits = make_splits(raw, num_classes=CLASSES, train_size=sizes.train, split_seed=SPLIT_SEED)
    data = DeviceData.place(splits, torch.device(CPU))
    held = data.val
    return replace(data, val=Part(held.x[: sizes.val], held.y[: sizes.val])), splits.record
