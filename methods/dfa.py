"""Direct feedback alignment (Nøkland 2016, arXiv 1609.01596): the output's error, straight to every layer.

With e = y_hat - y, the softmax of the logits less the one-hot label, hidden layer k's update direction is (section 2)

delta a_k = (B_k e) * f'(a_k),

where backpropagation has W_{k+1}^T delta a_{k+1} in the place of B_k e. The matrices B_k are random and never change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.layerwise import LayerwiseCNN, hidden_shapes
from methods.method import TaskShape
from methods.options import Options
from methods.registry import register


@register("dfa")
class DFA(LayerwiseCNN):
    """Direct feedback alignment on `backprop-cnn`'s network. See the module's docstring.

    The same network, start, dropout and batch norm as `backprop-cnn`. What differs: a fixed random matrix for each
    hidden layer, from the output's error to the layer's output after pooling and ReLU (B_k e is what stands for the
    gradient there). Inside a layer, which for the last one includes batch norm, its own derivative is used. The error
    is known only when all layers have computed, so that, as in backpropagation, all activations are held until then.
    """

    summary = (
        "direct feedback alignment: a fixed random matrix brings the output's error to each layer of one image path"
    )
    epoch_definition = (
        "one pass over the training images; each batch trains every layer once, all from one output error"
    )
    credit = "fixed random feedback"

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        for k, hidden in enumerate(hidden_shapes(shape), start=1):
            # Adam's steps do not depend on a gradient's scale, so that no other scale need be looked for.
            scale = 1 / math.sqrt(math.prod(hidden))
            self.register_buffer(f"feedback_{k}", scale * torch.randn(shape.num_classes, *hidden))

    @property
    def feedback(self) -> list[Tensor]:
        """B_1, ..., B_4, transposed: each (num_classes, *shape of the layer's output)."""
        return [self.get_buffer(f"feedback_{k}") for k in range(1, 1 + len(hidden_shapes(self.shape)))]

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The head's cross-entropy, then for each hidden layer a term of value 0 whose gradient there is B_k e."""
        outputs, logits = self.apart(x)
        yield F.cross_entropy(logits, y)
        error = self.output_error(logits, y) / len(y)  # of the mean over the batch
        for matrix in reversed(self.feedback):
            with torch.autocast(x.device.type, enabled=False):  # it is a gradient
                projected = (error @ matrix.flatten(start_dim=1)).view(-1, *matrix.shape[1:])
            product = (outputs.pop() * projected).sum()
            yield product - product.detach()
