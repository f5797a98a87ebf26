"""The yardstick of speed: the same training as a plain public trainer does it.

The network, the losses, the batch size and the optimiser's settings are those of `methods` and `bench`. How the work
is done is what one finds in most repositories: images in PyTorch's default layout, ReLU before pooling, a `DataLoader`
whose workers turn each image into floats, one AdamW (not fused) over everything, the gradient's norm clipped over the
whole model, the losses of all blocks summed before the one backward pass, and the training images evaluated after each
epoch beside the validation and test images.

Its workers stay alive from one epoch to the next: starting them is a fixed cost, which an epoch of a few steps would
show many times larger than an epoch of real data has it.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.workload import SEED, Subject

WIDTH = 256
CHANNELS = (32, 64, 128)
DROPOUT = 0.2
BLOCKS = 10
ETA = 0.1
FIRST_ALPHA_BAR, LAST_ALPHA_BAR = 0.001, 0.999
START_OF_MIX = 0.5
MAX_NORM = 1.0
WORKERS = 2


def linear_norm(inputs: int) -> list[nn.Module]:
    """A linear layer to 256 and batch norm, which has the bias."""
    return [nn.Linear(inputs, WIDTH, bias=False), nn.BatchNorm1d(WIDTH)]


class ReferenceBlock(nn.Module):
    """`methods.networks.backbone.Block` with a fixed one-hot embedding and no decoder, layer by layer, in order."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((channels, *CHANNELS[:-1]), CHANNELS, strict=True):
            layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout(DROPOUT)]
        self.image = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linear_norm(CHANNELS[-1]))
        self.label_first = nn.Sequential(*linear_norm(num_classes), nn.ReLU())
        self.label_rest = nn.Sequential(*linear_norm(WIDTH), nn.ReLU(), *linear_norm(WIDTH))
        self.fuse = nn.Sequential(
            *linear_norm(2 * WIDTH), nn.ReLU(), *linear_norm(WIDTH), nn.ReLU(), nn.Linear(WIDTH, num_classes)
        )

    def forward(self, x: Tensor, z: Tensor, embeddings: Tensor) -> Tensor:
        """Estimate of the clean embedding, (batch, classes), from images and a noised embedding, (batch, classes)."""
        label = self.label_first(z)
        label = label + self.label_rest(label)
        logits = self.fuse(torch.cat([self.image(x), label], dim=1))
        return F.softmax(logits, dim=1) @ embeddings  # type: ignore[no-any-return]


class ReferenceModel(nn.Module, ABC):
    """Ten blocks, the one-hot embeddings, and the linear classifier of the last z."""

    embeddings: Tensor

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ReferenceBlock(channels, num_classes) for _ in range(BLOCKS))
        self.head = nn.Linear(num_classes, num_classes)
        self.register_buffer("embeddings", torch.eye(num_classes))

    @abstractmethod
    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """What one step minimises, a scalar."""

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Logits, (batch, classes), from images alone: every block in turn, each with its own image path."""


class ReferenceNoProp(ReferenceModel):
    """NoProp in discrete time. The divergence of z_0 is left out: with fixed embeddings it is a constant."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, num_classes)
        ends = [math.asin(math.sqrt(end)) for end in (FIRST_ALPHA_BAR, LAST_ALPHA_BAR)]
        self.alpha_bar = [math.sin(ends[0] + (ends[1] - ends[0]) * t / BLOCKS) ** 2 for t in range(BLOCKS + 1)]

    def noised(self, u: Tensor, t: int) -> Tensor:
        """z_t of clean embeddings, (batch, classes)."""
        return math.sqrt(self.alpha_bar[t]) * u + math.sqrt(1 - self.alpha_bar[t]) * torch.randn_like(u)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        u = self.embeddings[y]
        loss = F.cross_entropy(self.head(self.noised(u, BLOCKS)), y)
        for t, block in enumerate(self.blocks, start=1):
            ratios = [self.alpha_bar[k] / (1 - self.alpha_bar[k]) for k in (t - 1, t)]
            estimate = block(x, self.noised(u, t - 1), self.embeddings)
            error = ((estimate - u) ** 2).sum(dim=1).mean()
            loss = loss + 0.5 * BLOCKS * ETA * (ratios[1] - ratios[0]) * error
        return loss

    def logits(self, x: Tensor) -> Tensor:
        z = torch.randn(len(x), len(self.embeddings), device=x.device)
        for block, before, after in zip(self.blocks, self.alpha_bar[:-1], self.alpha_bar[1:], strict=True):
            estimate = block(x, z, self.embeddings)
            step = before / after
            mean = math.sqrt(after) * (1 - step) * estimate + math.sqrt(step) * (1 - after) * z
            variance = (1 - after) * (1 - step) / (1 - before)
            z = mean / (1 - before) + math.sqrt(variance) * torch.randn_like(z)
        return self.head(z)  # type: ignore[no-any-return]


class ReferenceBackprop(ReferenceModel):
    """The matched baseline: the blocks joined by learned weights, cross-entropy through all of them."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, num_classes)
        self.mix = nn.Parameter(torch.full((BLOCKS,), math.atanh(START_OF_MIX)))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(x), y)

    def logits(self, x: Tensor) -> Tensor:
        z = torch.randn(len(x), len(self.embeddings), device=x.device)
        for block, mix in zip(self.blocks, torch.tanh(self.mix), strict=True):
            z = (1 - mix) * z + mix * block(x, z, self.embeddings)
        return self.head(z)  # type: ignore[no-any-return]


MODELS: dict[str, type[ReferenceModel]] = {"noprop": ReferenceNoProp, "backprop": ReferenceBackprop}
"""By the name of the method that does the same."""


class FloatImages(TensorDataset):
    """Stored images, uint8, (N, C, H, W), and labels; each image is turned into normalised floats when it is asked for.

    Args:
        x: the images.
        y: labels, int64, (N,).
        mean: by channel, of pixels from 0 to 1.
        std: likewise.
    """

    def __init__(self, x: Tensor, y: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(x, y)
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        x, y = super().__getitem__(index)
        return (x.float() / 255 - self.mean) / self.std, y


@dataclass(frozen=True)
class ReferenceEpoch:
    """What an epoch came to, and the seconds that it took."""

    loss: float
    images: int
    accuracies: list[float]
    """On the parts that are evaluated, the training images first."""
    evaluated: int
    """Images of all those parts."""
    training_seconds: float
    seconds: float
    """Of training and evaluation."""


class ReferenceLoop:
    """A model, its optimiser, and loaders of its data."""

    def __init__(
        self,
        model: ReferenceModel,
        train: FloatImages,
        others: list[FloatImages],
        *,
        batch_size: int,
        lr: float,
        weight_decay: float,
    ) -> None:
        self.model = model
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
        self._train = _loader(train, batch_size, shuffle=True)
        self._evaluated = [self._train, *(_loader(part, batch_size, shuffle=False) for part in others)]

    def epoch(self) -> ReferenceEpoch:
        """Train on every training image once, then evaluate every part, the training images too."""
        start = time.perf_counter()
        total, images = 0.0, 0
        self.model.train()
        for x, y in self.training_batches():
            total += self.step(x, y) * len(y)
            images += len(y)
        trained = time.perf_counter()
        counts = [self._right(loader) for loader in self._evaluated]
        return ReferenceEpoch(
            loss=total / images,
            images=images,
            accuracies=[right / count for right, count in counts],
            evaluated=sum(count for _, count in counts),
            training_seconds=trained - start,
            seconds=time.perf_counter() - start,
        )

    def training_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every training image once, in a new order."""
        return iter(self._train)

    def step(self, x: Tensor, y: Tensor) -> float:
        """All losses of a batch, one backward pass, one update; the loss."""
        self._optimizer.zero_grad()
        loss = self.model.loss(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_NORM)
        self._optimizer.step()
        return loss.item()

    @torch.no_grad()
    def _right(self, loader: DataLoader) -> tuple[int, int]:
        """How many images are classified right, and how many there are."""
        self.model.eval()
        right, count = 0, 0
        for x, y in loader:
            right += int((self.model.logits(x).argmax(dim=1) == y).sum().item())
            count += len(y)
        return right, count


def _loader(images: FloatImages, batch_size: int, *, shuffle: bool) -> DataLoader:
    return DataLoader(images, batch_size, shuffle=shuffle, num_workers=WORKERS, persistent_workers=True)


def make_loop(subject: Subject) -> ReferenceLoop:
    """The plain trainer of the method that a subject has, with the same data and settings.

    Args:
        subject: of a method in `MODELS`, at its default options.
    """
    data, record, config = subject.data, subject.record, subject.config
    torch.manual_seed(SEED)
    model = MODELS[subject.name](record.shape[0], record.num_classes)
    train, *others = (
        FloatImages(part.x, part.y, record.mean, record.std) for part in (data.train, data.val, data.test)
    )
    return ReferenceLoop(
        model, train, others, batch_size=config.batch_size, lr=config.lr, weight_decay=config.weight_decay
    )
