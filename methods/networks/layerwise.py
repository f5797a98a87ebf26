"""Base of the rivals on `backprop-plain`'s network that train it layer by layer: the network cut between its layers.

Some of them can also train their source's fully connected network (`network=mlp`), by the same rule.

Such a method is a list of losses, one or more per layer, whose graphs have nothing in common. Their backward passes run
one after another, and each frees what it holds before the next layer computes, unless the method itself keeps it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd, backward
from methods.core.method import TaskShape
from methods.core.options import Options
from methods.networks.backbone import CONV_CHANNELS, HIDDEN, PAPER, Features, ImagePath
from methods.networks.layers import Dropout
from methods.networks.mlp import MLP, MLPS, Rule

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class CNNOptions(Options):
    """Options of `backprop-plain` and of all rivals on its network, so that matched methods take the same ones."""

    features: Features = "flatten"
    """What the linear layer reads of the last feature map. flatten: every position; mean: each channel's mean over all
    positions. The mean costs backpropagation little and local rules much, since a channel's gradient is then the same
    at every position."""


@dataclass(frozen=True)
class NetworkOptions(CNNOptions):
    """Options of `backprop-plain` and of the rivals that can train their source's fully connected network, too."""

    network: Literal["cnn", "mlp"] = "cnn"
    """cnn: one of the blocks' image paths; mlp: the fully connected network of the method's source (`MLPS`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_cnn("features")

    @property
    def is_mlp(self) -> bool:
        """Whether the network is the fully connected one."""
        return self.network == "mlp"

    def require_cnn(self, name: str) -> None:
        """Refuse a value other than the default of option `name`, which says nothing of the fully connected network.

        Raises:
            MethodError: it has another value, and the network is the fully connected one.
        """
        default = type(self).__dataclass_fields__[name].default
        self.require(
            not self.is_mlp or getattr(self, name) == default, name, f"{default} (the default) with network=mlp"
        )


class LocalLosses(EndToEnd):
    """Base of methods with such losses on an image path, or on a fully connected network in its place.

    One optimiser has all parameters. It is element-wise, so it does what one optimiser per layer would.
    """

    paper = PAPER  # inferred: those of `backprop`
    mlp: ClassVar[Rule]
    """Whose fully connected network `network=mlp` is, where that is an option."""
    image_path: ImagePath | MLP

    def build_path(self, shape: TaskShape, options: CNNOptions, *, batch_norm: bool = True) -> ImagePath | MLP:
        """The hidden layers; `batch_norm` is of the image path."""
        if isinstance(options, NetworkOptions) and options.is_mlp:
            return MLP(shape, MLPS[self.mlp])
        return ImagePath(shape, features=options.features, batch_norm=batch_norm)

    @property
    def hidden_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the hidden layers' outputs for one image."""
        if isinstance(self.image_path, MLP):
            return [(width,) for width in self.image_path.spec.widths]
        return hidden_shapes(self.shape)

    @abstractmethod
    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The losses on a batch as in `train_step`, means over its images: scalars with separate graphs."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Their sum, which has the gradients of all."""
        return torch.stack(list(self.losses(x, y))).sum()

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """One backward pass for each loss, as soon as it is computed, and one update."""
        total = torch.zeros((), device=x.device)
        for loss in self.losses(x, y):
            backward(loss)
            total += loss.detach()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total

    def stack(self) -> Iterable[nn.Module]:
        """The image path."""
        return [self.image_path]


class LayerwiseCNN(LocalLosses):
    """Base of such methods with `backprop-plain`'s head; with batch norm, initialised like it at the same seed."""

    options: CNNOptions

    def __init__(self, shape: TaskShape, options: CNNOptions, *, batch_norm: bool = True) -> None:
        super().__init__(shape, options)
        self.image_path = path = self.build_path(shape, options, batch_norm=batch_norm)
        classes = shape.num_classes
        self.head = path.head(classes) if isinstance(path, MLP) else nn.Linear(HIDDEN, classes)

    @property
    def layers(self) -> list[Layer]:
        """The hidden layers."""
        return cut(self.image_path)

    def layer_outputs(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The outputs of each hidden layer and of the head, (batch, num_classes); no graph joins any two."""
        outputs: list[Tensor] = []
        h = x
        for layer in self.layers:
            outputs.append(layer(h))
            h = outputs[-1].detach()
        return outputs, self.head(h)

    def output_error(self, logits: Tensor, y: Tensor) -> Tensor:
        """y_hat - y: the softmax of the logits minus the one-hot label, (batch, num_classes), without a graph."""
        probabilities = logits.detach().to(self.head.weight.dtype).softmax(dim=1)
        return probabilities - F.one_hot(y, self.shape.num_classes)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The head's logits; not random."""
        h = x
        for layer in self.layers:
            h = layer(h)
        return self.head(h)


def cut(path: ImagePath | MLP) -> list[Layer]:
    """The hidden layers of an image path: each from images, or the previous layer's output, to its own output.

    Layers 1 to 3 are a convolution with its pooling and ReLU, layer 4 all positions or their mean (`Features`), the
    linear layer, batch norm if there is one, and ReLU. Dropout is at the beginning of the layer that it feeds.
    Those of a fully connected network are its children.
    """
    if isinstance(path, MLP):
        return list(path)
    modules = list(path.convolutions)
    cuts = [0, *(number for number, module in enumerate(modules) if isinstance(module, Dropout))]
    dropout = modules[cuts[-1]]

    def last(h: Tensor) -> Tensor:
        return path.last(dropout(h)).relu()

    return [*(nn.Sequential(*modules[start:end]) for start, end in pairwise(cuts)), last]


def hidden_shapes(shape: TaskShape) -> list[tuple[int, ...]]:
    """Shapes of the hidden layers' outputs for one image: (channels, height, width) three times, then (256,)."""
    halved = ((channels, 2**k) for k, channels in enumerate(CONV_CHANNELS, start=1))
    return [*((channels, shape.height // factor, shape.width // factor) for channels, factor in halved), (HIDDEN,)]


def normalised(h: Tensor) -> Tensor:
    """An image's activities minus their mean, over their standard deviation: their strength is lost."""
    return F.layer_norm(h, h.shape[1:])
