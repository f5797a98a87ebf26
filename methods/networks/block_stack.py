"""What every method on the stack of blocks has, however it is trained: its start, inference, and what is looked at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Generator, Tensor, nn

from methods.core.method import Batches, Diagnosis, Method, TaskShape
from methods.core.training_images import TrainingImages
from methods.networks.backbone import BlockStack, StackOptions
from methods.networks.inference import Probe, average_predictions, diagnose


class StackMethod(Method):
    """Base of such methods: a subclass says how block joins block (`_next`) and how the blocks are trained."""

    options: StackOptions

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__(shape, options)
        self.net = BlockStack(shape, options)

    @abstractmethod
    def _next(self, t: int, z: Tensor, estimate: Tensor, generator: Generator | None) -> Tensor:
        """z_t from z_{t-1} and block t's estimate, t = 1..T; all (batch, embedding_dim).

        Args:
            t: the block.
            z: z_{t-1}.
            estimate: u_hat_t(z_{t-1}, x).
            generator: of whatever is random in it; None: PyTorch's own.
        """

    def init_from_data(self, images: TrainingImages) -> None:
        """Start from prototypes, where asked for."""
        self.net.start_from(images)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Start from noise, let the blocks work on it in turn, classify z_T (section 2.1)."""
        features = self.net.image_features(x)

        def draw() -> Tensor:
            *_, z = self._chain(features, generator)
            logits: Tensor = self.net.head(z)
            return logits

        return average_predictions(draw, self.options.samples)

    def _chain(self, features: list[Tensor], generator: Generator) -> Iterator[Tensor]:
        """z_0, z_1, ..., z_T of one draw of inference, each (batch, embedding_dim); z_0 ~ N(0, I).

        Args:
            features: from `BlockStack.image_features`.
            generator: of all noise.
        """
        z = torch.randn(len(features[0]), self.net.embedding.dim, device=features[0].device, generator=generator)
        yield z
        for t in range(1, self.options.T + 1):
            z = self._next(t, z, self.net.denoise(t, features, z), generator)
            yield z

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """What the blocks have learned, where each has a task of its own, and the class of z_0, ..., z_T."""

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            for t, z in enumerate(self._chain(features, generator)):
                yield t / self.options.T, self.net.head(z)

        embeddings = self.net.embedding.weight
        return diagnose(batches, embeddings, self.net.image_features, self._probes(), chain, generator)

    def _probes(self) -> list[Probe]:
        """How to look at each block by itself; none where blocks have no task of their own."""
        return []

    def stack(self) -> Iterable[nn.Module]:
        """The T blocks."""
        return self.net.blocks
