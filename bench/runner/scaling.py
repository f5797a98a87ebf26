"""What a training step costs by depth, batch size and image size, and an epoch by number of images."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Generator

from bench.errors import UserError
from bench.planning.grid import refuse_own_depth
from bench.planning.method_spec import MethodSpec
from bench.planning.plan import SPLIT_SEED
from bench.planning.presets import OPTIMIZER, PRESETS
from bench.training.build import MethodBuilder
from bench.training.loop import DeviceData, Part, first_batch, per_channel, synchronize, train_epoch
from bench.training.probes import probe_activation_bytes, probe_flops
from methods import MethodError
from methods.core.method import TaskShape
from methods.core.training_images import TrainingImages
from results.conditions import CellConfig
from results.scale import Axis, Ceiling, Precision, ScalePoint, Timing

FIXED: dict[Axis, int] = {"T": 10, "batch_size": 128, "side": 28, "images": 1024}
"""An axis's value while another is varied."""
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
            refuse_own_depth(spec)
            if spec.cls.has_low_memory(spec.options):
                raise UserError(f"{spec.label} is not accepted: it trains part after part, so that no step is its step")
        torch.set_num_threads(self.threads)
        self._product = _Product(torch.device(self.device), MATRIX, amp=self.amp)

    def check(self, axis: Axis, value: int) -> None:
        """Build every method that has the axis at this value.

        Raises:
            UserError: one cannot be built.
        """
        at = FIXED | {axis: value}
        for spec in self.having(axis):
            try:
                spec.cls(self._shape(at), spec.cls.Options.parse(_options(spec, at)))
            except MethodError as error:
                raise UserError(f"{spec.label} at {axis} = {value}: {error}") from None

    def points(self, axis: Axis, value: int) -> list[ScalePoint]:
        """Measure all methods that have the axis, at one value of it, the other axes at `FIXED`."""
        at = FIXED | {axis: value}
        images = at["images"] if axis == "images" else max(2 * at["batch_size"], 2 * CLASSES)
        data = _random_images(images, self.channels, at["side"], torch.device(self.device))
        subjects = [
            _Subject(spec, self._builder(spec, at, data), data, whole_epoch=axis == "images")
            for spec in self.having(axis)
        ]
        times: dict[_Subject, list[float]] = {subject: [] for subject in subjects}
        for subject in subjects:
            subject.warm_up()
        for _ in range(self.rounds):
            for subject in subjects:
                self._products.append(self._product.time())
                times[subject].append(subject.time())
            subjects = subjects[1:] + subjects[:1]
        return [
            ScalePoint(
                axis=axis,
                value=value,
                method=subject.spec.label,
                seconds=timing(seconds),
                images=subject.images,
                flops=subject.flops(),
                activation_bytes=probe_activation_bytes(subject.builder.make(), data, subject.builder.config),
                execution=subject.method.execution,
            )
            for subject, seconds in times.items()
        ]

    def ceiling(self) -> Ceiling:
        """The matrix products timed between the points so far."""
        return Ceiling(seconds=timing(self._products), size=MATRIX, precision=self._product.precision)

    def having(self, axis: Axis) -> list[MethodSpec]:
        """The methods with the axis: not all have a depth."""
        return [spec for spec in self.specs if axis != "T" or "T" in spec.options]

    def _shape(self, at: dict[Axis, int]) -> TaskShape:
        return TaskShape(self.channels, at["side"], at["side"], CLASSES)

    def _builder(self, spec: MethodSpec, at: dict[Axis, int], data: DeviceData) -> MethodBuilder:
        preset = PRESETS["standard"]
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
            options=_options(spec, at),
            amp=self.amp,
        )
        images = TrainingImages(lambda: (data.images(data.train.x), data.train.y), CLASSES)
        return MethodBuilder(spec.cls.name, self._shape(at), config, _SEED, images)


def _options(spec: MethodSpec, at: dict[Axis, int]) -> dict[str, Any]:
    return spec.options | ({"T": at["T"]} if "T" in spec.options else {})


class _Product:
    """The product of two square matrices, in the precision that convolutions have."""

    def __init__(self, device: torch.device, size: int, *, amp: bool) -> None:
        self._device = device
        self._tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32 and not amp
        self.precision: Precision = "bfloat16" if amp else "TF32" if self._tf32 else "float32"
        dtype = torch.bfloat16 if amp else torch.float32
        self._matrix = torch.randn(size, size, generator=Generator().manual_seed(_SEED)).to(device, dtype)
        self._product = torch.zeros_like(self._matrix)
        for _ in range(_WARM_UP_STEPS):
            self.time()

    def time(self) -> float:
        """Seconds of one product."""
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self._tf32
        try:
            synchronize(self._device)
            start = time.perf_counter()
            torch.mm(self._matrix, self._matrix, out=self._product)
            synchronize(self._device)
            return time.perf_counter() - start
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


class _Subject:
    """One method at one point."""

    def __init__(self, spec: MethodSpec, builder: MethodBuilder, data: DeviceData, *, whole_epoch: bool) -> None:
        self.spec, self.builder, self._data, self._whole_epoch = spec, builder, data, whole_epoch
        self.method = builder.make()
        self._x, self._y = first_batch(data, builder.config.batch_size)
        self.images = len(self._y)
        """Per timed call."""

    def warm_up(self) -> None:
        """Let libraries and the optimiser's state be set up."""
        self.method.train()
        for _ in range(_WARM_UP_STEPS):
            self.method.train_step(self._x, self._y)

    def time(self) -> float:
        """Seconds of one step or epoch."""
        if self._whole_epoch:
            order = Generator().manual_seed(_SEED)
            epoch = train_epoch(self.method, self._data, self.builder.config.batch_size, order, lambda *progress: None)
            self.images = epoch.images
            return epoch.seconds
        synchronize(self._x.device)
        start = time.perf_counter()
        self.method.train_step(self._x, self._y)
        synchronize(self._x.device)
        return time.perf_counter() - start

    def flops(self) -> int | None:
        """Of one call, from a step's per image; None, with a warning, if they cannot be counted."""
        warn = partial(print, f"{self.spec.label}:", file=sys.stderr)
        flops = probe_flops(self.builder.make(), self._data, self.builder.config, warn)
        per_image: float | None = flops["train_flops_per_image"]
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
