"""Building a method as a cell trains it: from the cell's configuration, seeded, set up and on its device."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

import methods
from bench.training.loop import DeviceData, optimizer_factory
from bench.training.precision import use_mixed_precision
from bench.training.rng import Stream, seed_of
from methods.core.method import Method, TaskShape
from methods.core.training_images import TrainingImages
from results.schema import CellConfig, DataRecord


@dataclass(frozen=True)
class MethodBuilder:
    """Builds one method, set up and on its device, from the same random numbers each time."""

    name: str
    shape: TaskShape
    config: CellConfig
    seed: int
    training_images: TrainingImages

    @classmethod
    def on(cls, data: DeviceData, record: DataRecord, name: str, config: CellConfig, seed: int) -> MethodBuilder:
        """For the method that the registry has as `name`, to be trained on these data, which `record` describes."""
        images = TrainingImages(lambda: (data.images(data.train.x), data.train.y), record.num_classes)
        return cls(name, TaskShape(*record.shape, record.num_classes), config, seed, images)

    def make(self) -> Method:
        """A new one. The global generator is left at the start of the training stream.

        Raises:
            MethodError: there is no such method, or it does not take these options.
        """
        cls = methods.get(self.name)
        torch.manual_seed(seed_of(self.seed, Stream.INITIALISATION))
        device = torch.device(self.config.device)
        method = cls(self.shape, cls.Options.parse(self.config.options)).to(device)
        method.init_from_data(self.training_images)
        method.set_up(optimizer_factory(self.config))
        if self.config.amp:
            use_mixed_precision(method, device)
        torch.manual_seed(seed_of(self.seed, Stream.TRAINING))
        return method

    def at_depth(self, T: int) -> MethodBuilder:
        """The same with T blocks."""
        options = self.config.options | {"T": T}
        return replace(self, config=self.config.model_copy(update={"options": options}))
