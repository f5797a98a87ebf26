"""The stack of T blocks, and the base of every method on it: initialisation, inference and diagnosis."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor, nn

from methods.core.method import Batches, Diagnosis, Method, TaskShape
from methods.core.options import count_to
from methods.core.training_images import TrainingImages
from methods.networks.backbone import MAX_BLOCKS, Block, Decoder, EmbeddingOptions
from methods.networks.embedding import ClassEmbedding, EmbeddingClassifier
from methods.networks.inference import Probe, average_predictions, diagnose


@dataclass(frozen=True)
class StackOptions(EmbeddingOptions):
    """Options of every method that uses the stack of blocks."""

    T: Annotated[int, count_to(MAX_BLOCKS)] = 10
    """Number of blocks (table 3)."""
    decoder: Decoder = "none"
    """none: the estimate is p @ W_embed; tanh or relu: a linear layer and that function follow, for embeddings inside
    (-1, 1) or above 0."""


class BlockStack(nn.Module):
    """T blocks, the class embedding that they share, and the linear classifier of z_T.

    Matched methods build exactly this, with the same options, in the same order: at one seed they start from the same
    numbers and differ only in how they are trained and how block joins block.
    """

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)
        self.blocks = nn.ModuleList(
            Block(shape, self.embedding, options.decoder, options.features) for _ in range(options.T)
        )
        self.head = EmbeddingClassifier(self.embedding)
        self.before_block: Callable[[int], object] = lambda t: None
        """Called with t before block t is used, for a method that offloads blocks."""

    def estimate(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """Block t's estimate u_hat_t(z_{t-1}, x), t = 1..T, (batch, embedding_dim)."""
        return self._block(t)(x, z, self.embedding.weight)

    def image_features(self, x: Tensor) -> list[Tensor]:
        """Each block's features of the images: T tensors, (batch, 256)."""
        return [self._block(t).image_path(x) for t in range(1, len(self.blocks) + 1)]

    def denoise(self, t: int, features: list[Tensor], z: Tensor) -> Tensor:
        """`estimate` from the result of `image_features`."""
        return self._block(t).denoise(features[t - 1], z, self.embedding.weight)

    def _block(self, t: int) -> Block:
        self.before_block(t)
        return self.blocks[t - 1]  # type: ignore[return-value]


class StackMethod(Method):
    """Base of methods on the stack: a subclass says how block joins block (`_next`) and how the blocks are trained."""

    options: StackOptions

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__(shape, options)
        self.net = BlockStack(shape, options)

    @abstractmethod
    def _next(self, t: int, z: Tensor, estimate: Tensor, generator: Generator | None) -> Tensor:
        """z_t from z_{t-1} and block t's estimate u_hat_t(z_{t-1}, x), t = 1..T; all (batch, embedding_dim).

        The generator is that of any noise; None: PyTorch's own.
        """

    def init_from_data(self, images: TrainingImages) -> None:
        """Start from prototypes if the options ask for them."""
        self.net.embedding.start_from(images)
        self.net.head.start_from(self.net.embedding)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Start from noise, apply the blocks in turn, classify z_T (section 2.1)."""
        features = self.net.image_features(x)

        def draw() -> Tensor:
            *_, z = self._chain(features, generator)
            return self.net.head(z)

        return average_predictions(draw, self.options.samples)

    def _chain(self, features: list[Tensor], generator: Generator) -> Iterator[Tensor]:
        """z_0 ~ N(0, I), z_1, ..., z_T of one draw of inference, each (batch, embedding_dim)."""
        z = torch.randn(len(features[0]), self.net.embedding.dim, device=features[0].device, generator=generator)
        yield z
        for t in range(1, self.options.T + 1):
            z = self._next(t, z, self.net.denoise(t, features, z), generator)
            yield z

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """What each block has learned, if it has a task of its own, and the classes of z_0, ..., z_T."""

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            for t, z in enumerate(self._chain(features, generator)):
                yield t / self.options.T, self.net.head(z)

        embeddings = self.net.embedding.weight
        return diagnose(batches, embeddings, self.net.image_features, self._probes(), chain, generator)

    def _probes(self) -> list[Probe]:
        """How to diagnose each block; none if blocks have no task of their own."""
        return []

    def stack(self) -> Iterable[nn.Module]:
        """The T blocks."""
        return self.net.blocks
