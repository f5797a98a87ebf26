"""What every method has that trains all of its parameters together, with one optimiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from torch import Tensor
from torch.optim import Optimizer

from methods.core.backward import backward
from methods.core.method import MakeOptimizer, Method, ParameterGroups


class EndToEnd(Method):
    """Base of such methods. A subclass says what its `loss` is."""

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser over everything."""
        self._optimizer = make_optimizer(self.parameter_groups())

    def parameter_groups(self) -> ParameterGroups:
        """What the optimiser is given: all parameters alike, unless a subclass has other groups."""
        return self.parameters()

    @abstractmethod
    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The training loss on a batch as in `train_step`, a mean over its images: a scalar with its graph."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss, one backward pass, one update."""
        return self.update(self.loss(x, y))

    def update(self, loss: Tensor) -> Tensor:
        """One backward pass and one update; the loss, detached."""
        backward(loss)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    def optimizers(self) -> Iterator[Optimizer]:
        """The one."""
        yield self._optimizer
