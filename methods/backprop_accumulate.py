"""`backprop` with gradient accumulation: a batch in parts, whose gradients add up to one update.

A batch of N images is cut into `micro_batches` parts of N_m images (sizes differ by at most one), and

dL/dw = sum_m (N_m / N) dL_m/dw, with L_m the mean loss of part m,

which is the full batch's gradient but for batch norm: it normalises each part by the part's own mean and variance, and
its running statistics count each part as a batch of its own. So a part needs at least two images, and training is not
quite that of `backprop`. What is held for backward is what one part needs.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from methods.backprop import Backprop, BackpropOptions
from methods.core.end_to_end import backward
from methods.core.errors import MethodError
from methods.core.options import count_to
from methods.core.registry import register

MAX_MICRO_BATCHES = 10_000


@dataclass(frozen=True)
class AccumulateOptions(BackpropOptions):
    """Options of backpropagation in parts of a batch."""

    micro_batches: Annotated[int, count_to(MAX_MICRO_BATCHES)] = 4
    """Parts of a batch; activations are held for one at a time."""


@register("backprop-accumulate")
class BackpropAccumulate(Backprop):
    """`Backprop` with micro-batches. See the module's docstring."""

    summary = "backprop in micro-batches whose gradients add up: the cheap rival on memory"
    epoch_definition = "one pass over the training images; each batch, in parts, trains all T blocks together, once"
    Options = AccumulateOptions
    options: AccumulateOptions

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """A backward pass for each part, then one update; the mean loss of the batch.

        Raises:
            MethodError: the batch has fewer than two images for each part.
        """
        parts = self.options.micro_batches
        if len(x) < 2 * parts:
            raise MethodError(
                f"option micro_batches={parts} is not accepted for batches of {len(x)} images: "
                "batch norm needs at least two images in each part"
            )
        total = torch.zeros((), device=x.device)
        for each in zip(self.noise(x).tensor_split(parts), x.tensor_split(parts), y.tensor_split(parts), strict=True):
            loss = self.loss_from(*each) * (len(each[0]) / len(x))
            backward(loss)
            total += loss.detach()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total
