"""The fully connected networks on which the layer-wise rules' sources report MNIST: widths and activation as data.

Each rule runs on its source's with `network=mlp`, so that its figure stands beside the source's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from methods.core.method import TaskShape
from methods.networks.layers import BatchNorm1d, Linear

Rule = Literal["dfa", "difference-target-propagation", "forward-forward", "local-loss"]


@dataclass(frozen=True)
class MLPSpec:
    """Hidden layers, each a linear layer, then what is said here, in the order of the fields."""

    widths: tuple[int, ...]
    batch_norm: bool = False
    activation: Callable[[], nn.Module] = nn.ReLU
    dropout: float = 0.0
    """Probability after every hidden layer."""
    input_dropout: float = 0.0
    orthogonal: bool = False
    """Whether weights start orthogonal: their singular values are 1, so that activities keep their size with depth."""


MLPS: dict[Rule, MLPSpec] = {
    # Nøkland 2016 (arXiv 1609.01596), table 1: the row with dropout.
    "dfa": MLPSpec((800,) * 2, activation=nn.Tanh, dropout=0.5, input_dropout=0.1),
    # Lee et al. 2015 (arXiv 1412.7525), section 3.1.
    "difference-target-propagation": MLPSpec((240,) * 7, activation=nn.Tanh, orthogonal=True),
    # Hinton 2022 (arXiv 2212.13345), section 3.3.
    "forward-forward": MLPSpec((2000,) * 4),
    # Nøkland and Eidnes 2019 (arXiv 1901.06656), section 4.1, and its code: leaky ReLU with similarity matching.
    "local-loss": MLPSpec((1024,) * 3, batch_norm=True, activation=nn.LeakyReLU, dropout=0.1),
}


class MLP(nn.Sequential):
    """Hidden layers, one child each: images (batch, channels, height, width) to (batch, width of the last)."""

    def __init__(self, shape: TaskShape, spec: MLPSpec) -> None:
        inputs = shape.channels * shape.height * shape.width
        layers = []
        for number, width in enumerate(spec.widths):
            modules: list[nn.Module] = [] if number else [nn.Flatten(), nn.Dropout(spec.input_dropout)]
            modules.append(Linear(inputs, width, bias=not spec.batch_norm))
            if spec.batch_norm:
                modules.append(BatchNorm1d(width))
            layers.append(nn.Sequential(*modules, spec.activation(), nn.Dropout(spec.dropout)))
            inputs = width
        super().__init__(*layers)
        self.spec = spec
        if spec.orthogonal:
            orthogonal(self)

    def head(self, num_classes: int) -> nn.Linear:
        """A linear layer from the last hidden layer to the classes."""
        head = nn.Linear(self.spec.widths[-1], num_classes)
        if self.spec.orthogonal:
            orthogonal(head)
        return head


def orthogonal(module: nn.Module) -> None:
    """Start the linear layers of a module orthogonal, their biases at zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
