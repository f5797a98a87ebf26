"""Training all parameters with one optimiser."""

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from methods.core.method import MakeOptimizer, Method, ParameterGroups


def backward(loss: Tensor) -> None:
    """Add the gradients of a scalar loss to those of the parameters. Autocast stays off: it is for forward passes only.

    Each operation's gradient has the precision that its forward pass had.
    """
    # Recomputation on the way back needs casts that have a graph, and a block's casts should not outlive it.
    torch.clear_autocast_cache()
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()  # type: ignore[no-untyped-call]


def update(optimizer: Optimizer, loss: Tensor) -> Tensor:
    """One backward pass and one update; returns the loss, detached."""
    backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


class EndToEnd(Method):
    """Base of methods with one loss and one optimiser: a subclass defines `loss`."""

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """Create one optimiser for all parameters."""
        self._optimizer = make_optimizer(self.parameter_groups())

    def parameter_groups(self) -> ParameterGroups:
        """What the optimiser gets: all parameters in one group, unless a subclass forms others."""
        return self.parameters()

    @abstractmethod
    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The training loss on a batch as in `train_step`, a mean over its images: a scalar with its graph."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Loss, one backward pass, one update."""
        return self.update(self.loss(x, y))

    def update(self, loss: Tensor) -> Tensor:
        """One backward pass and one update; returns the loss, detached."""
        return update(self._optimizer, loss)

    def optimizers(self) -> Iterator[Optimizer]:
        """The one optimiser."""
        yield self._optimizer
