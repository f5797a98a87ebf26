"""The network that every method shares: an image path, a label path, their fusion, and a stack of such blocks.

After figure 6 and section 4 of arXiv 2503.24322. Nothing here knows how it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from methods.embedding import ClassEmbedding, EmbeddingKind
from methods.method import TaskShape
from methods.options import Options
from methods.registry import MethodError

HIDDEN = 256
CONV_CHANNELS = (32, 64, 128)
DROPOUT = 0.2
MIN_IMAGE_SIZE = 2 ** len(CONV_CHANNELS)

Decoder = Literal["none", "tanh"]


@dataclass(frozen=True)
class StackOptions(Options):
    """Options of every method that uses the stack of blocks, so that matched methods take the same ones."""

    T: int = 10
    """Number of blocks (table 3)."""
    embedding: EmbeddingKind = "onehot"
    embedding_dim: int | None = None
    """Length of a class embedding; none: the number of classes for onehot, 20 for learned."""
    decoder: Decoder = "none"
    """none: the estimate is p @ W_embed; tanh: a linear layer and tanh follow, for embeddings inside (-1, 1)."""

    def __post_init__(self) -> None:
        self.require(self.T >= 1, "T", "a whole number of at least 1")
        self.require(self.embedding_dim is None or self.embedding_dim >= 1, "embedding_dim", "at least 1")


class ImagePath(nn.Module):
    """Three convolutions and a linear layer: images (batch, channels, height, width) to features (batch, 256)."""

    def __init__(self, shape: TaskShape) -> None:
        """Build the path.

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
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(DROPOUT)]
            channels = out_channels
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, HIDDEN, bias=False)  # the batch norm that follows has the bias
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Images to features, (batch, 256)."""
        pooled = self.convolutions(x).mean(dim=(2, 3))  # (batch, 128)
        features: Tensor = self.norm(self.linear(pooled))
        return features


def _dense(inputs: int) -> nn.Sequential:
    """A linear layer to 256 with batch norm (which has the bias) and ReLU."""
    return nn.Sequential(nn.Linear(inputs, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU())


class LabelPath(nn.Module):
    """Three linear layers of 256 with a residual from the first: (batch, embedding_dim) to (batch, 256)."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.first = _dense(embedding_dim)
        self.second = _dense(HIDDEN)
        self.third = nn.Sequential(nn.Linear(HIDDEN, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN))

    def forward(self, z: Tensor) -> Tensor:
        """Noisy embedding to features, (batch, 256)."""
        first: Tensor = self.first(z)
        return first + self.third(self.second(first))  # type: ignore[no-any-return]


class Block(nn.Module):
    """One block: from the image and a noisy class embedding to an estimate of the clean one.

    `forward(x, z, weight)` gives the estimate u_hat, (batch, embedding_dim), from x, (batch, channels, height, width),
    z, (batch, embedding_dim), and W_embed, (num_classes, embedding_dim).
    """

    def __init__(self, shape: TaskShape, embedding_dim: int, decoder: Decoder) -> None:
        super().__init__()
        self.image_path = ImagePath(shape)
        self.label_path = LabelPath(embedding_dim)
        self.fusion = nn.Sequential(_dense(2 * HIDDEN), _dense(HIDDEN), nn.Linear(HIDDEN, shape.num_classes))
        self.decoder: nn.Module = nn.Identity()
        if decoder == "tanh":
            linear = nn.Linear(embedding_dim, embedding_dim)
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
            self.decoder = nn.Sequential(linear, nn.Tanh())

    def forward(self, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """u_hat = decoder(p @ W_embed), with p the softmax over classes of the fused features."""
        fused = torch.cat([self.image_path(x), self.label_path(z)], dim=1)  # (batch, 512)
        probabilities = self.fusion(fused).softmax(dim=1)  # (batch, num_classes)
        estimate: Tensor = self.decoder(probabilities @ weight)
        return estimate


class BlockStack(nn.Module):
    """T blocks, the class embedding that they share, and the linear classifier of z_T.

    Matched methods build exactly this, with the same options, in the same order: at one seed they start from the same
    numbers and differ only in how they are trained and how block joins block.
    """

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, options.embedding_dim)
        self.blocks = nn.ModuleList(Block(shape, self.embedding.dim, options.decoder) for _ in range(options.T))
        self.head = nn.Linear(self.embedding.dim, shape.num_classes)
        # The classifier starts as <z_T, u_k>: right for a perfectly denoised z_T. From random numbers it takes hundreds
        # of updates to get there, in which a method's blocks cannot show what they have learned.
        with torch.no_grad():
            self.head.weight.copy_(self.embedding.weight)
            self.head.bias.zero_()

    def estimate(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """Block t's estimate u_hat_t(z_{t-1}, x), t = 1..T, (batch, embedding_dim)."""
        estimate: Tensor = self.blocks[t - 1](x, z, self.embedding.weight)
        return estimate
