"""Predictive coding (as in PCX: Pinchetti et al., ICLR 2025, arXiv 2407.01163; Whittington and Bogacz 2017).

Besides its prediction f_l(h_{l-1}), every hidden layer l has a free activity h_l; h_0 is the image. The energy of an
image is the sum of squared prediction errors and the output's loss,

F = sum_l 1/2 |h_l - f_l(h_{l-1})|^2 + beta L(head(h_L), y).

A batch first infers the activities: from h_l = f_l(h_{l-1}), where only the output is wrong, so many steps of gradient
descent on the energy, with all activities at once,

h_l <- h_l - step_size dF/dh_l,    dF/dh_l = e_l - J_{l+1}^T e_{l+1},    e_l = h_l - f_l(h_{l-1})

(shorter steps where these would raise the energy, which is ours),

and then updates the weights of every layer once, along -dF/dw at the activities that it has arrived at. Both depend on
a layer's own errors and those of its neighbours alone. At the energy's minimum e_l = J_{l+1}^T e_{l+1}, which is the
recursion of backpropagation, but at the activities inferred rather than those predicted; the two agree as the output's
error, or beta, goes to 0. An output's error moves one layer down with each step.

With `loss=ce`, L is the cross-entropy of the head's logits, with `loss=se` half their squared distance from the one-hot
label. beta below 1 pulls the output only part of the way to the label (cf. the source's positive nudging).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.method import TaskShape
from methods.core.options import Check, Positive, Range
from methods.core.registry import register
from methods.networks.layers import Dropout
from methods.networks.layerwise import CNNOptions, LayerwiseCNN

MIN_STEPS, MAX_STEPS = 4, 1_000
"""With fewer steps than hidden layers, the first layer gets no error to learn from."""
_NOISE = 1.001
"""A higher energy than that times the last is no rounding."""
_RECOVERY = 1.01
"""By what steps grow again with each batch, up to the option's length."""


@dataclass(frozen=True)
class PredictiveCodingOptions(CNNOptions):
    """Options of predictive coding."""

    inference_steps: Annotated[
        int, Check(lambda value: MIN_STEPS <= value <= MAX_STEPS, f"a whole number from {MIN_STEPS} to {MAX_STEPS:,}")
    ] = 5
    """Steps of descent on the energy for each batch of training; prediction takes none."""
    step_size: Annotated[float, Check(lambda value: 0 < value <= 1, "above 0 and at most 1")] = 0.1
    """Their length at most. As layers learn, so do the gains from one to the next, and what was short enough once then
    raises the energy: see `PredictiveCoding.infer`."""
    loss: Literal["se", "ce"] = "se"
    """The output's loss: squared error, as of all other predictions, or cross-entropy."""
    beta: Positive = 1.0
    """Weight of the output's loss in the energy."""


@register("predictive-coding")
class PredictiveCoding(LayerwiseCNN):
    """Predictive coding on `backprop-plain`'s network. See the module's docstring.

    The same convolutions, pooling, linear layer and head as `backprop-plain`, with the same initialisation. What
    differs: no batch norm, which would make an image's energy depend on the other images, and no dropout, since an
    activity must be compared with the same prediction at every step. Activation bytes do not show the activities and
    their gradients, which are held for all layers through inference; what backward needs is held for one layer at a
    time.
    """

    summary = "predictive coding: activities settle between image and label, then layers learn from their own errors"
    epoch_definition = (
        "one pass over the training images; each batch infers the activities and then trains every layer once"
    )
    credit = "local prediction errors"
    Options = PredictiveCodingOptions
    search_space: ClassVar[Mapping[str, Range]] = {
        "step_size": Range(0.01, 1, log=True),
        "beta": Range(0.01, 1, log=True),
    }
    options: PredictiveCodingOptions

    def __init__(self, shape: TaskShape, options: PredictiveCodingOptions) -> None:
        super().__init__(shape, options, batch_norm=False)
        for module in self.image_path.modules():
            if isinstance(module, Dropout):
                module.p = 0.0
        self.step: Tensor
        self.register_buffer("step", torch.tensor(options.step_size))

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The terms of the energy after inference, hidden layer by hidden layer, then the output's loss."""
        yield from self.energies(self.infer(x, y), x, y)

    def infer(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """The activities h_1, ..., h_L after inference, without graphs.

        A step after which the energy is higher is taken back, and steps are half as long from then on.
        """
        with torch.no_grad():
            activities = [h.to(x.dtype) for h in self.layer_outputs(x)[0]]  # bfloat16 has two digits, steps are small
        start, slope, lowest = activities, list[Tensor](), math.inf
        for _ in range(self.options.inference_steps):
            energy, gradients = self.slope(activities, x, y)
            if energy > _NOISE * lowest:
                self.step /= 2
            else:
                start, slope, lowest = activities, gradients, energy
            activities = [h - self.step * gradient for h, gradient in zip(start, slope, strict=True)]
        self.step.mul_(_RECOVERY).clamp_(max=self.options.step_size)
        return activities

    def slope(self, activities: list[Tensor], x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
        """The energy, a mean over the batch, and each image's own energy's gradient in its activities."""
        free = [h.detach().requires_grad_() for h in activities]
        gradients = [torch.zeros_like(h) for h in activities]
        total = 0.0
        for number, energy in enumerate(self.energies(free, x, y)):
            involved = slice(max(number - 1, 0), number + 1)  # h_{l-1} and h_l; the output's loss has h_L alone
            with torch.autocast(x.device.type, enabled=False):
                found = torch.autograd.grad(energy * len(x), free[involved])
            for gradient, term in zip(gradients[involved], found, strict=True):
                gradient += term
            total += float(energy.detach())
        return total, gradients

    def energies(self, activities: list[Tensor], x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The energy's terms, means over the batch: one for each hidden layer, then the output's loss."""
        h = x
        for layer, activity in zip(self.layers, activities, strict=True):
            yield 0.5 * (activity - layer(h)).square().sum() / len(x)
            h = activity
        yield self.options.beta * self._output_loss(self.head(h), y)

    def _output_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.options.loss == "ce":
            return F.cross_entropy(logits, y)
        return 0.5 * (logits - F.one_hot(y, self.shape.num_classes)).square().sum() / len(y)
