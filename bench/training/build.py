"""A cell's data and method as its configuration says: loaded, seeded, set up and on the device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

import methods
from bench import datasets
from bench.training.augment import record_of
from bench.training.loop import DeviceData, batch_count
from bench.training.rng import Stream, seed_of
from bench.training.updates import Updates
from methods.core.method import Method, TaskShape
from methods.core.training_images import TrainingImages
from results.schema import CellConfig, DataRecord, PlannedCell

_AUTOCAST = ("train_step", "loss", "predict", "diagnose")
"""Calls with mixed precision; `loss` is called by itself where a method is replicated."""


def load_data(cell: PlannedCell, data_dir: Path | None) -> tuple[DeviceData, DataRecord]:
    """The cell's data on its device, and what they are."""
    return place_data(cell, data_dir, load_splits(cell, data_dir))


def load_splits(cell: PlannedCell, data_dir: Path | None) -> datasets.Splits:
    """The images that the cell trains on and is evaluated on, wherever it computes."""
    dataset, config = datasets.get(datasets.placed(cell.dataset, data_dir)), cell.config
    return datasets.make_splits(
        dataset.load(data_dir),
        num_classes=dataset.num_classes,
        train_size=config.train_size,
        split_seed=config.split_seed,
        allow_duplicates=config.duplicates,
    )


def place_data(cell: PlannedCell, data_dir: Path | None, splits: datasets.Splits) -> tuple[DeviceData, DataRecord]:
    """The cell's data on its device, and what they are."""
    dataset, config = datasets.get(datasets.placed(cell.dataset, data_dir)), cell.config
    augmented = record_of(config.augment, splits.record.shape, flip=dataset.flip)
    data = DeviceData.place(splits, torch.device(config.device))
    known = {"augmentation": augmented, "class_names": dataset.class_names}
    return data, splits.record.model_copy(update=known)


@dataclass(frozen=True)
class MethodBuilder:
    """Builds one method, set up and on its device, from the same random numbers each time."""

    name: str
    shape: TaskShape
    config: CellConfig
    seed: int
    training_images: TrainingImages
    steps: int = 0
    """Batches of training: where a schedule of the learning rate ends."""

    @classmethod
    def on(cls, data: DeviceData, record: DataRecord, name: str, config: CellConfig, seed: int) -> MethodBuilder:
        """For the registered method `name`, trained on these data, which `record` describes."""
        images = TrainingImages(lambda: (data.images(data.train.x), data.train.y), record.num_classes)
        steps = config.epochs * batch_count(len(data.train), config.batch_size)
        return cls(name, TaskShape(*record.shape, record.num_classes), config, seed, images, steps)

    def make(self, updates: Updates | None = None) -> Method:
        """A new one, with optimisers from `updates` if given. The global generator is left at the start of training's.

        Raises:
            MethodError: there is no such method, or it does not take these options.
        """
        cls = methods.get(self.name)
        torch.manual_seed(seed_of(self.seed, Stream.INITIALISATION))
        device = torch.device(self.config.device)
        method = cls(self.shape, cls.Options.parse(self.config.options)).to(device)
        method.init_from_data(self.training_images)
        updates = updates or self.updates()
        updates.per_batch = method.updates_per_batch
        method.set_up(updates.make)
        if self.config.amp:
            use_mixed_precision(method, device)
        torch.manual_seed(seed_of(self.seed, Stream.TRAINING))
        return method

    def updates(self) -> Updates:
        """What makes optimisers as the configuration says."""
        return Updates(self.config, self.steps)

    def with_option(self, name: str, value: object) -> MethodBuilder:
        """The same with another value of one of the method's options."""
        options = self.config.options | {name: value}
        return replace(self, config=self.config.model_copy(update={"options": options}))


def use_mixed_precision(method: Method, device: torch.device) -> None:
    """Let the method's forward passes compute in bfloat16 what PyTorch deems safe in it.

    bfloat16 has the range of float32, so gradients need no scaling. `methods.core.end_to_end` keeps it out of the
    backward pass.
    """
    for name in _AUTOCAST:
        if hasattr(method, name):
            call = torch.autocast(device.type, dtype=torch.bfloat16)(getattr(method, name))
            setattr(method, name, call)
