"""Difference target propagation (Lee et al. 2015, arXiv 1412.7525): every layer is given a target for its output.

With layers h_k = f_k(h_{k-1}) and their approximate inverses g_k, the last hidden layer's target is a step down the
gradient of the output's loss L, which passes the head alone (section 2, algorithm 1),

h_hat_4 = h_4 - step dL/dh_4,

and targets go down through the inverses, corrected for the error of the inverse at the output itself:

h_hat_{k-1} = h_{k-1} - g_k(h_k) + g_k(h_hat_k).

Layer k learns from |f_k(h_{k-1}) - h_hat_k|^2, and g_k from |g_k(f_k(h_{k-1} + eps)) - (h_{k-1} + eps)|^2 with eps ~
N(0, noise^2): it becomes an inverse around the activities, not only at them, which is where targets are (equation 14).
No gradient passes from a layer or an inverse into another.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.end_to_end import backward
from methods.core.method import TaskShape
from methods.core.options import Positive, count_to
from methods.core.registry import register
from methods.networks.layers import Conv2d, Dropout, Linear
from methods.networks.layerwise import Layer, LayerwiseCNN, NetworkOptions, normalised
from methods.networks.mlp import MLPS, orthogonal


@dataclass(frozen=True)
class TargetPropagationOptions(NetworkOptions):
    """Options of difference target propagation."""

    noise: Positive = 0.3
    """Standard deviation of eps; a layer's activities have 1."""
    inverse_steps: Annotated[int, count_to(100)] = 1
    """Updates of the inverses for each batch, each with new noise; the last of them goes with the layers'."""


class Inverse(nn.Module):
    """An approximate inverse of a hidden layer: from its output's shape to its input's."""

    def __init__(self, given: tuple[int, ...], wanted: tuple[int, ...], *, activation: nn.Module | None = None) -> None:
        """A linear layer for the linear layer; for a convolution, a convolution on pixels repeated to the wanted size.

        Between layers of a fully connected network, a linear layer and their activation.
        Shapes are of one image: (channels, height, width) or (features,).
        """
        super().__init__()
        channels, *size = wanted
        if activation is not None:
            self._map = nn.Sequential(Linear(given[0], wanted[0]), activation)
            orthogonal(self)
        elif len(given) == 1:
            self._map = nn.Sequential(Linear(given[0], channels * size[0] * size[1]), nn.Unflatten(1, wanted))
        else:
            repeated = nn.Upsample((size[0], size[1]))
            self._map = nn.Sequential(repeated, Conv2d(given[0], channels, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, h: Tensor) -> Tensor:
        """(batch, *given) to (batch, *wanted)."""
        return self._map(h)


@register("difference-target-propagation", aliases=("dtp",))
class TargetPropagation(LayerwiseCNN):
    """Difference target propagation on `backprop-plain`'s network. See the module's docstring.

    The same convolutions, linear layer and dropout as `backprop-plain`. What differs: layer normalisation without
    parameters ends every hidden layer, instead of the one batch norm, since nothing else here bounds the outputs of
    layers, as tanh does in the source, and targets learned from growing layers make them grow further; and hidden
    layers 2, 3 and 4 also have an inverse, which inference does not use, and which inverts the layer without dropout.
    Inverses have no nonlinearity (the source's have tanh, like its layers). So the length of the first step cancels in
    Adam's (the step is 1), and a target differs from its output by the step through the learned linear maps alone,
    without the layers' derivatives there. The source trains inverses a whole pass ahead of the layers. A target is
    known only when all layers have computed, so all activations are held until then, as in backpropagation.

    With `network=mlp`, the source's layers and inverses: tanh after each, an orthogonal start, no normalisation.
    """

    summary = (
        "difference target propagation: learned inverses bring each layer of one image path a target for its output"
    )
    epoch_definition = (
        "one pass over the training images; each batch trains every layer and every inverse once, each on its own loss"
    )
    credit = "targets"
    mlp = "difference-target-propagation"
    Options = TargetPropagationOptions
    options: TargetPropagationOptions

    def __init__(self, shape: TaskShape, options: TargetPropagationOptions) -> None:
        super().__init__(shape, options, batch_norm=False)
        self.updates_per_batch = options.inverse_steps
        activation = MLPS[self.mlp].activation() if options.is_mlp else None
        self.inverses = nn.ModuleList(
            Inverse(given, wanted, activation=activation) for wanted, given in pairwise(self.hidden_shapes)
        )

    @property
    def layers(self) -> list[Layer]:
        """The hidden layers, each with its normalisation; tanh bounds those of the fully connected network."""
        return super().layers if self.options.is_mlp else [_then_normalised(layer) for layer in super().layers]

    def losses(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """The head's cross-entropy, then from the last hidden layer down the layer's loss and its inverse's."""
        outputs, logits = self.layer_outputs(x)
        yield F.cross_entropy(logits, y)
        with _full_precision(x):
            step = -self.output_error(logits, y) @ self.head.weight.detach()  # h_hat - h
        while outputs:
            output = outputs.pop()
            h = output.detach()
            yield _distance(output, h + step)
            if outputs:
                number = len(outputs) - 1
                yield self._inverse_loss(number, outputs[-1].detach())
                inverse = self.inverses[number]
                with torch.no_grad(), _full_precision(x):
                    if self.options.is_mlp:
                        step = inverse(h + step) - inverse(h.to(step.dtype))
                    else:  # g is affine
                        step = inverse(step) - inverse(torch.zeros_like(step[:1]))

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Further updates of the inverses alone, if asked for, then one of everything."""
        for _ in range(self.options.inverse_steps - 1):
            with torch.no_grad():
                outputs, _ = self.layer_outputs(x)
            for number, h in enumerate(outputs[:-1]):
                backward(self._inverse_loss(number, h))
            self._optimizer.step()
            self._optimizer.zero_grad()
        return super().train_step(x, y)

    def divide(self, ranks: int, rank: int) -> list[Sequence[nn.Module]] | None:
        """Nothing trains apart.

        Raises:
            MethodError: several processes, which train on one loss a batch, are to take several steps.
        """
        if ranks > 1:
            self.options.require(self.options.inverse_steps == 1, "inverse_steps", "1 with several processes")
        return None

    def _inverse_loss(self, number: int, h: Tensor) -> Tensor:
        """That of inverse `number`, from 0, around its layer's input h, (batch, *shape), which has no graph."""
        noisy = h + self.options.noise * torch.randn_like(h)
        with torch.no_grad(), _no_dropout(self.image_path):
            output = self.layers[number + 1](noisy)
        return _distance(self.inverses[number](output), noisy)


@contextmanager
def _no_dropout(path: nn.Module) -> Iterator[None]:
    layers = [module for module in path.modules() if isinstance(module, Dropout) and module.training]
    for layer in layers:
        layer.eval()
    yield
    for layer in layers:
        layer.train()


def _then_normalised(layer: Layer) -> Layer:
    return lambda h: normalised(layer(h))


def _full_precision(x: Tensor) -> torch.autocast:
    """A step is small compared with the activities that it changes, of which bfloat16 has two digits."""
    return torch.autocast(x.device.type, enabled=False)


def _distance(h: Tensor, target: Tensor) -> Tensor:
    """Half of |h - target|^2, mean over the batch."""
    return 0.5 * (h - target).square().flatten(start_dim=1).sum(dim=1).mean()
