"""What one training step costs at a depth, a batch size and an image size, and an epoch at a number of images."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator

from bench.errors import UserError
from bench.maker import Maker
from bench.plan import SPLIT_SEED
from bench.presets import OPTIMIZER, PRESETS
from bench.probes import probe_activation_bytes, probe_flops
from bench.spec import MethodSpec
from bench.train import DeviceData, Part, first_batch, per_channel, synchronize, train_epoch
from methods.method import TaskShape
from methods.prototypes import TrainingImages
from results.conditions import CellConfig
from results.scale import Axis, Ceiling, ScalePoint, Timing

FIXED: dict[Axis, int] = {"T": 10, "batch_size": 128, "side": 28, "images": 1024}
"""What an axis is at while another is varied."""
CLASSES = 10
MATRIX = 2048
_SEED = 0
_WARM_UP_STEPS = 2


@dataclass
class Growth:
    """Measures methods, one value of one axis at a time.

    Raises:
        UserError: a method's own depth is given.
    """

    specs: Sequence[MethodSpec]
    device: str
    threads: int
    channels: int = 1
    amp: bool = False
    rounds: int = 5
    _products: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for spec in self.specs:
            if spec.options.get("T") != spec.cls.Options.parse({}).as_dict().get("T"):
                raise UserError(f"{spec.label} is not accepted: T is what --depths varies, so leave it out")
        torch.set_num_threads(self.threads)

    def points(self, axis: Axis, value: int) -> list[ScalePoint]:
        """All methods that have the axis, at one value of it; the other axes are at `FIXED`.

        Raises:
            MethodError: a method cannot be built there.
        """
        at = FIXED | {axis: value}
        images = at["images"] if axis == "images" else 2 * at["batch_size"]
        data = _random_images(images, self.channels, at["side"], torch.device(self.device))
        subjects = [
            _Subject(spec, self._maker(spec, at, data), data, whole_epoch=axis == "images")
            for spec in self.specs
            if axis != "T" or "T" in spec.options
        ]
        times: list[list[float]] = [[] for _ in subjects]
        for subject in subjects:
            subject.warm_up()
        order = list(range(len(subjects)))
        for _ in range(self.rounds):
            for index in order:
                self._products.append(self._multiply())
                times[index].append(subjects[index].time())
            order = order[1:] + order[:1]
        return [
            ScalePoint(
                axis=axis,
                value=value,
                method=subject.spec.label,
                seconds=timing(seconds),
                images=subject.images,
                flops=subject.flops(),
                activation_bytes=probe_activation_bytes(subject.maker.make(), data, subject.maker.config),
                execution=subject.method.execution,
            )
            for subject, seconds in zip(subjects, times, strict=True)
        ]

    def ceiling(self) -> Ceiling:
        """Of the matrix products that were timed between the points so far."""
        return Ceiling(seconds=timing(self._products), size=MATRIX)

    def _maker(self, spec: MethodSpec, at: dict[Axis, int], data: DeviceData) -> Maker:
        preset = PRESETS["standard"]
        options = spec.options | ({"T": at["T"]} if "T" in spec.options else {})
        config = CellConfig(
            preset="standard",
            epochs=1,
            batch_size=at["batch_size"],
            lr=preset.lr,
            weight_decay=preset.weight_decay,
            optimizer=OPTIMIZER,
            train_size=None,
            split_seed=SPLIT_SEED,
            device=self.device,
            threads=self.threads,
            options=options,
            amp=self.amp,
        )
        shape = TaskShape(self.channels, at["side"], at["side"], CLASSES)
        images = TrainingImages(lambda: (data.images(data.train.x), data.train.y), CLASSES)
        return Maker(spec.cls.name, shape, config, _SEED, images)

    def _multiply(self) -> float:
        """Seconds of one matrix product."""
        device = torch.device(self.device)
        matrix = torch.ones(MATRIX, MATRIX, device=device)
        product = torch.empty_like(matrix)
        synchronize(device)
        start = time.perf_counter()
        torch.mm(matrix, matrix, out=product)
        synchronize(device)
        return time.perf_counter() - start


class _Subject:
    """One method at one point: what is timed of it."""

    def __init__(self, spec: MethodSpec, maker: Maker, data: DeviceData, *, whole_epoch: bool) -> None:
        self.spec, self.maker, self._data, self._whole_epoch = spec, maker, data, whole_epoch
        self.method = maker.make()
        self._x, self._y = first_batch(data, maker.config.batch_size)
        self.images = len(self._y)
        """That a timed call handles."""

    def warm_up(self) -> None:
        """Let libraries set themselves up, and make the optimiser's state."""
        self.method.train()
        for _ in range(_WARM_UP_STEPS):
            self.method.train_step(self._x, self._y)

    def time(self) -> float:
        """Seconds of one call."""
        if self._whole_epoch:
            order = Generator().manual_seed(_SEED)
            epoch = train_epoch(self.method, self._data, self.maker.config.batch_size, order, lambda *told: None)
            self.images = epoch.images
            return epoch.seconds
        synchronize(self._x.device)
        start = time.perf_counter()
        self.method.train_step(self._x, self._y)
        synchronize(self._x.device)
        return time.perf_counter() - start

    def flops(self) -> int | None:
        """Of one call: a step's for each image, by the number of images; None, and a word of it, if not countable."""

        def warn(what: str) -> None:
            print(f"{self.spec.label}: {what}", file=sys.stderr)

        per_image = probe_flops(self.maker.make(), self._data, self.maker.config, warn).train
        return None if per_image is None else round(per_image * self.images)


def timing(seconds: Sequence[float]) -> Timing:
    """Median and interquartile range."""
    first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median=median, iqr=third - first, rounds=len(seconds))


def _random_images(count: int, channels: int, side: int, device: torch.device) -> DeviceData:
    """Uniform noise and balanced labels, all of them for training."""
    generator = Generator().manual_seed(_SEED)
    x = torch.randint(256, (count, channels, side, side), dtype=torch.uint8, generator=generator).to(device)
    part = Part(x, (torch.arange(count) % CLASSES).to(device))
    mean, std = (per_channel([value] * channels, device) for value in (0.5, 0.25))
    return DeviceData(train=part, val=part, test=part, mean=mean, std=std)
