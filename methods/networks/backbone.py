"""The network that every method shares: an image path, a label path, their fusion, and a stack of such blocks.

After figure 6 and section 4 of arXiv 2503.24322. Nothing here knows how it is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from methods.core.errors import MethodError
from methods.core.method import PaperSettings, TaskShape
from methods.core.options import Options
from methods.core.training_images import TrainingImages
from methods.networks.embedding import ClassEmbedding, EmbeddingClassifier, EmbeddingKind
from methods.networks.layers import BatchNorm1d, Conv2d, Dropout

HIDDEN = 256
CONV_CHANNELS = (32, 64, 128)
DROPOUT = 0.2
MAX_BLOCKS, MAX_DIM, MAX_SAMPLES = 1_000, 100_000, 10_000
"""Beyond what anybody trains: a slip of the finger is refused rather than built."""
MIN_IMAGE_SIZE = 2 ** len(CONV_CHANNELS)

PAPER = PaperSettings(epochs={"mnist": 100, "cifar10": 150, "cifar100": 150})
"""Table 3 on its stacks of T = 10 blocks: backprop's and NoProp-DT's."""

Decoder = Literal["none", "tanh", "relu"]


@dataclass(frozen=True)
class EmbeddingOptions(Options):
    """Options of every method that denoises class embeddings, so that matched methods take the same ones."""

    embedding: EmbeddingKind = "onehot"
    embedding_dim: int | None = None
    """Length of a class embedding; none: the number of classes for onehot, 20 for learned, the pixels for prototype."""
    samples: int = 1
    """Predictions from this many draws of noise are averaged (their probabilities)."""

    def __post_init__(self) -> None:
        self.require(
            self.embedding_dim is None or 1 <= self.embedding_dim <= MAX_DIM,
            "embedding_dim",
            f"a whole number from 1 to {MAX_DIM:,}",
        )
        self.require(1 <= self.samples <= MAX_SAMPLES, "samples", f"a whole number from 1 to {MAX_SAMPLES:,}")


@dataclass(frozen=True)
class StackOptions(EmbeddingOptions):
    """Options of every method that uses the stack of blocks."""

    T: int = 10
    """Number of blocks (table 3)."""
    decoder: Decoder = "none"
    """none: the estimate is p @ W_embed; tanh or relu: a linear layer and that function follow, for embeddings inside
    (-1, 1) or above 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.T <= MAX_BLOCKS, "T", f"a whole number from 1 to {MAX_BLOCKS:,}")


class ImagePath(nn.Module):
    """Three convolutions and a linear layer: images (batch, channels, height, width) to features (batch, 256)."""

    def __init__(self, shape: TaskShape, *, batch_norm: bool = True) -> None:
        """Build the path, with a batch norm at its end or, for continuous time, none.

        Raises:
            MethodError: images too small for three poolings.
        """
        super().__init__()
        if min(shape.height, shape.width) < MIN_IMAGE_SIZE:
            raise MethodError(
                f"images of {shape.height}x{shape.width} pixels are too small: "
                f"the backbone halves them three times and needs at least {MIN_IMAGE_SIZE}x{MIN_IMAGE_SIZE}"
            )
        layers: list[nn.Module] = []
        channels = shape.channels
        for out_channels in CONV_CHANNELS:
            # Pooling before ReLU is the same function (both keep the order of numbers) on a quarter of the pixels.
            layers += [Conv2d(channels, out_channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), Dropout(DROPOUT)]
            channels = out_channels
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, HIDDEN, bias=not batch_norm)  # a batch norm that follows has the bias
        self.norm = BatchNorm1d(HIDDEN) if batch_norm else nn.Identity()
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Images to features, (batch, 256)."""
        pooled = self.convolutions(x).mean(dim=(2, 3))  # (batch, 128)
        features: Tensor = self.norm(self.linear(pooled))
        return features


def dense(inputs: int, *, batch_norm: bool, relu: bool = True) -> nn.Sequential:
    """A linear layer to 256 and, where asked for, batch norm (which then has the bias) and ReLU."""
    layers: list[nn.Module] = [nn.Linear(inputs, HIDDEN, bias=not batch_norm)]
    if batch_norm:
        layers.append(BatchNorm1d(HIDDEN))
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class LabelPath(nn.Module):
    """Three linear layers of 256 with a residual from the first: (batch, embedding_dim) to (batch, 256)."""

    def __init__(self, embedding_dim: int, *, batch_norm: bool = True) -> None:
        super().__init__()
        self.first = dense(embedding_dim, batch_norm=batch_norm)
        self.second = dense(HIDDEN, batch_norm=batch_norm)
        self.third = dense(HIDDEN, batch_norm=batch_norm, relu=False)

    def forward(self, z: Tensor) -> Tensor:
        """Noisy embedding to features, (batch, 256)."""
        first: Tensor = self.first(z)
        return first + self.third(self.second(first))  # type: ignore[no-any-return]


class LabelImagePath(nn.Module):
    """For embeddings that are images: the noisy one goes through a CNN like the image's (section 4)."""

    def __init__(self, shape: TaskShape, *, batch_norm: bool = True) -> None:
        super().__init__()
        self.size = (shape.channels, shape.height, shape.width)
        self.path = ImagePath(shape, batch_norm=batch_norm)

    def forward(self, z: Tensor) -> Tensor:
        """Noisy embedding, (batch, channels * height * width), to features, (batch, 256)."""
        features: Tensor = self.path(z.view(-1, *self.size))  # the convolution's weights put it into their layout
        return features


def label_path(shape: TaskShape, embedding: ClassEmbedding, *, batch_norm: bool = True) -> nn.Module:
    """The path that an embedding of this kind goes through."""
    if embedding.kind == "prototype":
        return LabelImagePath(shape, batch_norm=batch_norm)
    return LabelPath(embedding.dim, batch_norm=batch_norm)


class Block(nn.Module):
    """One block: from the image and a noisy class embedding to an estimate of the clean one.

    `forward(x, z, weight)` gives the estimate u_hat, (batch, embedding_dim), from x, (batch, channels, height, width),
    z, (batch, embedding_dim), and W_embed, (num_classes, embedding_dim).
    """

    def __init__(self, shape: TaskShape, embedding: ClassEmbedding, decoder: Decoder) -> None:
        super().__init__()
        self.image_path = ImagePath(shape)
        self.label_path = label_path(shape, embedding)
        self.fusion = nn.Sequential(
            dense(2 * HIDDEN, batch_norm=True), dense(HIDDEN, batch_norm=True), nn.Linear(HIDDEN, shape.num_classes)
        )
        self.decoder: nn.Module = nn.Identity()
        if decoder != "none":
            linear = nn.Linear(embedding.dim, embedding.dim)
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
            self.decoder = nn.Sequential(linear, nn.Tanh() if decoder == "tanh" else nn.ReLU())

    def forward(self, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """u_hat = decoder(p @ W_embed), with p the softmax over classes of the fused features."""
        return self.denoise(self.image_path(x), z, weight)

    def denoise(self, features: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """The same from the image path's features, (batch, 256): those do not change where only z does."""
        fused = torch.cat([features, self.label_path(z)], dim=1)  # (batch, 512)
        probabilities = self.fusion(fused).softmax(dim=1)  # (batch, num_classes)
        with torch.autocast(z.device.type, enabled=False):  # near 1, bfloat16 knows two digits
            estimate: Tensor = self.decoder(probabilities.to(weight.dtype) @ weight)
        return estimate


class BlockStack(nn.Module):
    """T blocks, the class embedding that they share, and the linear classifier of z_T.

    Matched methods build exactly this, with the same options, in the same order: at one seed they start from the same
    numbers and differ only in how they are trained and how block joins block.
    """

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)
        self.blocks = nn.ModuleList(Block(shape, self.embedding, options.decoder) for _ in range(options.T))
        self.head = EmbeddingClassifier(self.embedding)
        self.before_block: Callable[[int], object] = lambda t: None
        """Called with t before block t is used, for a method that does not have all blocks in place at once."""

    def start_from(self, images: TrainingImages) -> None:
        """Prototypes, where the embedding starts from them, and the classifier from the embedding."""
        self.embedding.start_from(images)
        self.head.start_from(self.embedding)

    def estimate(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """Block t's estimate u_hat_t(z_{t-1}, x), t = 1..T, (batch, embedding_dim)."""
        estimate: Tensor = self._block(t)(x, z, self.embedding.weight)
        return estimate

    def image_features(self, x: Tensor) -> list[Tensor]:
        """What each block sees of the images: T tensors, (batch, 256)."""
        return [self._block(t).image_path(x) for t in range(1, len(self.blocks) + 1)]

    def denoise(self, t: int, features: list[Tensor], z: Tensor) -> Tensor:
        """`estimate` from what `image_features` gave."""
        return self._block(t).denoise(features[t - 1], z, self.embedding.weight)

    def _block(self, t: int) -> Block:
        self.before_block(t)
        return self.blocks[t - 1]  # type: ignore[return-value]
