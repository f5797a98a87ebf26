"""The matched baseline: the same T blocks joined as the paper's baseline is, trained end to end (section 4).

z_t = (1 - w_t) z_{t-1} + w_t u_hat_t(z_{t-1}, x), w_t = tanh of a learned scalar, z_0 ~ N(0, I), and cross-entropy on
the classifier of z_T, back-propagated through all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.averaging import average_predictions
from methods.backbone import BlockStack, StackOptions
from methods.diagnostics import Batches, Diagnosis, diagnose
from methods.method import MakeOptimizer, Method, PaperSettings, TaskShape
from methods.prototypes import TrainingImages
from methods.registry import register

INITIAL_MIX = 0.5
"""w_t at the start: as much of the old as of the new. Not in the paper."""


@register("backprop")
class Backprop(Method):
    """Back-propagation through the whole stack. See the module's docstring."""

    summary = "backpropagation through the same T blocks, joined as the paper's baseline: the matched rival"
    epoch_definition = "one pass over the training images; each batch trains all T blocks together, once"
    Options = StackOptions
    paper = PaperSettings(epochs={"mnist": 100, "cifar10": 150, "cifar100": 150})
    options: StackOptions

    def __init__(self, shape: TaskShape, options: StackOptions) -> None:
        super().__init__(shape, options)
        self.net = BlockStack(shape, options)
        self.mix = nn.Parameter(torch.full((options.T,), math.atanh(INITIAL_MIX)))

    def see_training_images(self, images: TrainingImages) -> None:
        """Start from prototypes, where asked for."""
        self.net.start_from(images)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser over everything."""
        self._optimizer = make_optimizer(self.parameters())

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of the whole stack's output, one backward pass, one update."""
        z = torch.randn(len(x), self.net.embedding.dim, device=x.device)
        loss = F.cross_entropy(self._logits(x, z), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """The same pass from a z_0 of the generator's."""
        features = self.net.image_features(x)

        def draw() -> Tensor:
            *_, z = self._chain(features, generator)
            logits: Tensor = self.net.head(z)
            return logits

        return average_predictions(draw, self.options.samples)

    def _chain(self, features: list[Tensor], generator: Generator) -> Iterator[Tensor]:
        """z_0, z_1, ..., z_T of one draw of inference, each (batch, embedding_dim)."""
        return self.net.chain(features, self._mix, generator)

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """The class of z_0, ..., z_T; blocks have no task of their own."""

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            for t, z in enumerate(self._chain(features, generator)):
                yield t / self.options.T, self.net.head(z)

        return diagnose(batches, self.net.embedding.weight, self.net.image_features, [], chain, generator)

    def _logits(self, x: Tensor, z: Tensor) -> Tensor:
        for t in range(1, self.options.T + 1):
            z = self._apply_block(t, x, z)
        logits: Tensor = self.net.head(z)
        return logits

    def _apply_block(self, t: int, x: Tensor, z: Tensor) -> Tensor:
        """z_{t-1} to z_t, both (batch, embedding_dim)."""
        return self._mix(t, z, self.net.estimate(t, x, z))

    def _mix(self, t: int, z: Tensor, estimate: Tensor) -> Tensor:
        """z_t = (1 - w_t) z_{t-1} + w_t u_hat_t."""
        w = self.mix[t - 1].tanh()
        return (1 - w) * z + w * estimate

    def optimizers(self) -> Iterator[Optimizer]:
        """The one."""
        yield self._optimizer

    def stack(self) -> Iterable[nn.Module]:
        """The T blocks."""
        return self.net.blocks
