"""Direct feedback alignment (Nøkland 2016, arXiv 1609.01596): the output's error goes straight to every layer.

With e = y_hat - y, hidden layer k's update direction is (section 2)

delta a_k = (B_k e) * f'(a_k),

where backpropagation has W_{k+1}^T delta a_{k+1} instead of B_k e. The matrices B_k are random and never change. Here
y_hat is the softmax of the logits, so e belongs to cross-entropy over classes, and f is ReLU after pooling. The
source's networks on MNIST are fully connected, with tanh; `network=mlp` is the best of them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.layerwise import LayerwiseCNN, NetworkOptions


@dataclass(frozen=True)
class DFAOptions(NetworkOptions):
    """Options of direct feedback alignment."""

    feedback: Literal["units", "channels", "last"] = "units"
    """What gets feedback of its own. units: every unit of a layer, as in the source; channels: every channel, with its
    units at all positions alike; last: the units of the last hidden layer only, while the convolutions stay as
    initialised: the control for what feedback to convolutions contributes to accuracy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(not self.is_mlp or self.feedback != "channels", "feedback", "units or last with network=mlp")


@register("dfa")
class DFA(LayerwiseCNN):
    """Direct feedback alignment on `backprop-plain`'s network. See the module's docstring.

    The same network, initialisation, dropout and batch norm as `backprop-plain`. What differs: a fixed random matrix
    for each hidden layer, from the output's error to the layer's output after pooling and ReLU, where B_k e replaces
    the gradient. Inside a layer (with batch norm, for the last one) its own derivative is used. The error is known only
    when all layers have computed, so all activations are held until then, as in backpropagation. The matrices are
    buffers, neither parameters nor activations: only resident memory shows them.

    With `network=mlp`, feedback comes after a layer's dropout, as in the source's code. There the weights start at
    zero, here as PyTorch draws them, so that `backprop-plain` can start from the same.
    """

    summary = (
        "direct feedback alignment: a fixed random matrix brings the output's error to each layer of one image path"
    )
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, all from one output error"
    )
    credit = "fixed random feedback"
    mlp = "dfa"
    Options = DFAOptions
    options: DFAOptions

    def __init__(self, shape: TaskShape, options: DFAOptions) -> None:
        super().__init__(shape, options)
        for k, hidden in self._fed():
            drawn = hidden
            if options.feedback == "channels":
                drawn = (hidden[0], *(1 for _ in hidden[1:]))
            # Adam's steps do not depend on a gradient's scale, so no other scale needs to be searched for.
            scale = 1 / math.sqrt(math.prod(hidden))
            matrix = (scale * torch.randn(shape.num_classes, *drawn)).expand(-1, *hidden).contiguous()
            self.register_buffer(f"feedback_{k}", matrix)

    def _fed(self) -> list[tuple[int, tuple[int, ...]]]:
        """The hidden layers that learn: their numbers, from 1, and the shapes of their outputs for one image."""
        every = list(enumerate(self.hidden_shapes, start=1))
        return every[-1:] if self.options.feedback == "last" else every

    @property
    def feedback(self) -> list[Tensor]:
        """The transposed B_k of the layers that learn, in order: each (num_classes, *shape of the layer's output)."""
        return [self.get_buffer(f"feedback_{k}") for k, _ in self._fed()]

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The head's cross-entropy, then for each layer that learns a term of value 0 with the gradient B_k e there."""
        outputs, logits = self.layer_outputs(x)
        yield F.cross_entropy(logits, y)
        error = self.output_error(logits, y) / len(y)  # of the mean over the batch
        for matrix in reversed(self.feedback):
            with torch.autocast(x.device.type, enabled=False):  # it is a gradient
                projected = (error @ matrix.flatten(start_dim=1)).view(-1, *matrix.shape[1:])
            product = (outputs.pop() * projected).sum()
            yield product - product.detach()
