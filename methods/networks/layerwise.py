"""What every rival on `backprop-cnn`'s network has whose layers are told apart: the network cut between its layers.

Such a method is a list of losses, one or more for each layer, no two of which have a part of their graphs in common.
Their backward passes come one after another, and what one of them holds is let go of before the next one's layer
computes, unless the method itself keeps it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd, backward
from methods.core.method import TaskShape
from methods.core.options import Options
from methods.networks.backbone import CONV_CHANNELS, HIDDEN, PAPER, ImagePath
from methods.networks.layers import Dropout

Layer = Callable[[Tensor], Tensor]
LAYERS = len(CONV_CHANNELS) + 1
"""Hidden layers: the convolutions and the linear layer."""


class LocalLosses(EndToEnd):
    """Base of methods with such losses, whatever the network.

    One optimiser has all parameters. It works number by number, so that it does what one for each layer would.
    """

    @abstractmethod
    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The losses on a batch as in `train_step`, means over its images: scalars with graphs that do not meet."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Their sum, which has the gradients of all."""
        return torch.stack(list(self.losses(x, y))).sum()

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """One backward pass for each loss, as soon as it is there, and one update."""
        total = torch.zeros((), device=x.device)
        for loss in self.losses(x, y):
            backward(loss)
            total += loss.detach()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total


class LayerwiseCNN(LocalLosses):
    """Base of such methods on `backprop-cnn`'s whole network; with batch norm, from the numbers that it starts from."""

    paper = PAPER  # inferred: those of `backprop`

    def __init__(self, shape: TaskShape, options: Options, *, batch_norm: bool = True) -> None:
        super().__init__(shape, options)
        self.image_path = ImagePath(shape, batch_norm=batch_norm)
        self.head = nn.Linear(HIDDEN, shape.num_classes)

    @property
    def layers(self) -> list[Layer]:
        """The hidden layers."""
        return cut(self.image_path)

    def apart(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """What each hidden layer, and the head, (batch, num_classes), give for images; no graph joins any two."""
        outputs: list[Tensor] = []
        h = x
        for layer in self.layers:
            outputs.append(layer(h))
            h = outputs[-1].detach()
        return outputs, self.head(h)

    def output_error(self, logits: Tensor, y: Tensor) -> Tensor:
        """y_hat - y: the softmax of the logits less the one-hot label, (batch, num_classes), without a graph."""
        probabilities = logits.detach().to(self.head.weight.dtype).softmax(dim=1)
        return probabilities - F.one_hot(y, self.shape.num_classes)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The head's logits; nothing random in it."""
        h = x
        for layer in self.layers:
            h = layer(h)
        logits: Tensor = self.head(h)
        return logits

    def stack(self) -> Iterable[nn.Module]:
        """The image path."""
        return [self.image_path]


def cut(path: ImagePath) -> list[Layer]:
    """The hidden layers of an image path: each from images, or the layer before's output, to its own output.

    Layer k = 1..3 is a convolution with its pooling and ReLU, layer 4 the mean over positions, the linear layer, batch
    norm where there is one, and ReLU. Dropout is at the beginning of the layer that it feeds.
    """
    modules = list(path.convolutions)
    cuts = [0, *(number for number, module in enumerate(modules) if isinstance(module, Dropout))]
    dropout = modules[cuts[-1]]

    def last(h: Tensor) -> Tensor:
        features: Tensor = path.norm(path.linear(dropout(h).mean(dim=(2, 3))))
        return features.relu()

    return [*(nn.Sequential(*modules[start:end]) for start, end in pairwise(cuts)), last]


def hidden_shapes(shape: TaskShape) -> list[tuple[int, ...]]:
    """Of the hidden layers' outputs for one image: (channels, height, width) three times, then (256,)."""
    halved = [2**k for k in range(1, LAYERS)]
    sizes = ((shape.height // factor, shape.width // factor) for factor in halved)
    return [*((channels, *size) for channels, size in zip(CONV_CHANNELS, sizes, strict=True)), (HIDDEN,)]


def normalised(h: Tensor) -> Tensor:
    """An image's activities less their mean, over their standard deviation: how strong they were is gone."""
    return F.layer_norm(h, h.shape[1:])
