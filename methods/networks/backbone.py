"""The shared network: an image path, a label path, and a block that fuses them.

After figure 6 and section 4 of arXiv 2503.24322. Nothing here knows how it is trained.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from methods.core.errors import MethodError
from methods.core.method import PaperSettings, TaskShape
from methods.core.options import INFERENCE_ONLY, Options, count_to
from methods.networks.embedding import ClassEmbedding, EmbeddingKind
from methods.networks.layers import BatchNorm1d, Conv2d, Convolutions, Dropout, Linear, MaxPoolReLU

HIDDEN = 256
CONV_CHANNELS = (32, 64, 128)
DROPOUT = 0.2
MAX_BLOCKS, MAX_DIM, MAX_SAMPLES = 1_000, 100_000, 10_000
"""More than anybody trains: a typing mistake is refused rather than built."""
MIN_IMAGE_SIZE = 2 ** len(CONV_CHANNELS)

PAPER = PaperSettings(epochs={"mnist": 100, "cifar10": 150, "cifar100": 150})
"""Table 3 on stacks of T = 10 blocks: backprop and NoProp-DT."""

Decoder = Literal["none", "tanh", "relu"]
Features = Literal["flatten", "mean"]
"""What the linear layer of an image path reads: all positions, or each channel's mean over them."""


@dataclass(frozen=True)
class EmbeddingOptions(Options):
    """Options of every method that denoises class embeddings, so that matched methods take the same ones."""

    embedding: EmbeddingKind = "onehot"
    embedding_dim: Annotated[int | None, count_to(MAX_DIM)] = None
    """Length of a class embedding; none: the number of classes for onehot, 20 for learned, the pixels for prototype."""
    samples: Annotated[int, count_to(MAX_SAMPLES), INFERENCE_ONLY] = 1
    """Draws of noise whose predicted probabilities are averaged."""
    features: Features = "flatten"
    """What an image path's linear layer reads of its last feature map. flatten: every position; mean: each channel's
    mean over them, as in public implementations of the stack, with fewer parameters on images of 16x16 and more and
    lower validation accuracy of the stacks."""


class ImagePath(nn.Module):
    """Three convolutions and a linear layer: images (batch, channels, height, width) to features (batch, 256)."""

    def __init__(
        self, shape: TaskShape, *, features: Features = "flatten", batch_norm: bool = True, width: float = 1.0
    ) -> None:
        """Build the path, with batch norm at its end or, for continuous time, without; `width` scales all its widths.

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
        for out_channels in (round(width * count) for count in CONV_CHANNELS):
            layers += [Conv2d(channels, out_channels, 3, padding=1), MaxPoolReLU(), Dropout(DROPOUT)]
            channels = out_channels
        self.convolutions = Convolutions(*layers)
        self._features = features
        positions = (shape.height // MIN_IMAGE_SIZE) * (shape.width // MIN_IMAGE_SIZE) if features == "flatten" else 1
        inputs, hidden = channels * positions, round(width * HIDDEN)
        self.linear = Linear(inputs, hidden, bias=not batch_norm)  # a batch norm that follows has the bias
        self.norm = BatchNorm1d(hidden) if batch_norm else nn.Identity()
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Images to features, (batch, 256)."""
        return self.last(self.convolutions(x))

    def last(self, h: Tensor) -> Tensor:
        """The last feature map, (batch, 128, height / 8, width / 8), to features, (batch, 256)."""
        read = h.mean(dim=(2, 3)) if self._features == "mean" else h.flatten(start_dim=1)
        return self.norm(self.linear(read))


def dense(inputs: int, *, batch_norm: bool, relu: bool = True) -> nn.Sequential:
    """A linear layer to 256, then optionally batch norm (which then has the bias) and ReLU."""
    layers: list[nn.Module] = [Linear(inputs, HIDDEN, bias=not batch_norm)]
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
        first = self.first(z)
        return first + self.third(self.second(first))


def label_path(
    shape: TaskShape, embedding: ClassEmbedding, *, features: Features, batch_norm: bool = True
) -> nn.Module:
    """The label path: noisy embeddings that are images go through a CNN like the image's (section 4)."""
    if embedding.kind == "prototype":
        # Its convolutions put their input into their own memory layout.
        path = ImagePath(shape, features=features, batch_norm=batch_norm)
        return nn.Sequential(OrderedDict(image=nn.Unflatten(1, shape.image), path=path))
    return LabelPath(embedding.dim, batch_norm=batch_norm)


class Block(nn.Module):
    """One block: from the image and a noisy class embedding to an estimate of the clean one."""

    def __init__(
        self, shape: TaskShape, embedding: ClassEmbedding, decoder: Decoder, features: Features = "flatten"
    ) -> None:
        super().__init__()
        self.image_path = ImagePath(shape, features=features)
        self.label_path = label_path(shape, embedding, features=features)
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
        """u_hat = decoder(p @ W_embed), (batch, embedding_dim), where p is the softmax over classes of the fusion.

        From images, noisy embeddings z, (batch, embedding_dim), and W_embed, (num_classes, embedding_dim).
        """
        return self.denoise(self.image_path(x), z, weight)

    def denoise(self, features: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """The same from the image path's features, (batch, 256), which do not change where only z does."""
        fused = torch.cat([features, self.label_path(z)], dim=1)  # (batch, 512)
        probabilities = self.fusion(fused).softmax(dim=1)  # (batch, num_classes)
        with torch.autocast(z.device.type, enabled=False):  # near 1, bfloat16 has two digits
            estimate: Tensor = self.decoder(probabilities.to(weight.dtype) @ weight)
        return estimate
