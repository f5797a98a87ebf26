"""What every method in continuous time has, however it is trained: inference along a flow, and what is looked at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import Batches, Diagnosis, TaskShape
from methods.core.training_images import TrainingImages
from methods.networks.continuous import LOOKED_AT, ContinuousNet, ContinuousOptions, path, solve
from methods.networks.embedding import ClassEmbedding, EmbeddingClassifier, nearest
from methods.networks.inference import Probe, average_predictions, diagnose


class FlowMethod(EndToEnd):
    """Base of such methods: a subclass builds `net` and `head` and says where z moves (`velocity`)."""

    options: ContinuousOptions
    net: ContinuousNet
    head: EmbeddingClassifier | None
    """None: the class is that of the nearest embedding."""

    def __init__(self, shape: TaskShape, options: ContinuousOptions) -> None:
        super().__init__(shape, options)
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)

    @abstractmethod
    def velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """dz/dt of inference at the scalar time t, (batch, embedding_dim).

        Args:
            features: `net.image_path` of the images, (batch, 256).
            t: a scalar.
            z: (batch, embedding_dim).
        """

    @abstractmethod
    def _probe(self, time: float) -> Probe:
        """How to look at the network at one time."""

    def init_from_data(self, images: TrainingImages) -> None:
        """Start from prototypes, where asked for."""
        self.embedding.start_from(images)
        if self.head is not None:
            self.head.start_from(self.embedding)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Follow the flow from noise to t = 1 and classify where it ends."""
        features = self.net.image_path(x)

        def draw() -> Tensor:
            z = self._start(features, generator)
            return self._classify(solve(partial(self.velocity, features), z, self.options))

        return average_predictions(draw, self.options.samples)

    def _start(self, features: Tensor, generator: Generator | None = None) -> Tensor:
        """z_0 ~ N(0, I), (batch, embedding_dim)."""
        return torch.randn(len(features), self.embedding.dim, device=features.device, generator=generator)

    def _classify(self, z: Tensor) -> Tensor:
        """Logits of z_1, (batch, num_classes)."""
        logits: Tensor = nearest(z, self.embedding.weight) if self.head is None else self.head(z)
        return logits

    @torch.no_grad()
    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """The network at evenly spaced times, and the class along the flow."""

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            z_0 = self._start(features[0], generator)
            for time, z in path(partial(self.velocity, features[0]), z_0, self.options):
                yield time, self._classify(z)

        probes = [self._probe(k / LOOKED_AT) for k in range(LOOKED_AT)]
        return diagnose(batches, self.embedding.weight, lambda x: [self.net.image_path(x)], probes, chain, generator)

    def stack(self) -> Iterable[nn.Module]:
        """The one network."""
        return [self.net]
