"""Small data and methods with known answers, for the training loop and the cell in this process. None is registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from bench.training.loop import DeviceData, Part
from methods.core.method import MakeOptimizer, Method, TaskShape
from methods.core.options import Options

SHAPE = TaskShape(channels=1, height=2, width=2, num_classes=3)


def make_part(count: int) -> Part:
    """Image i holds the number i in its four pixels (below 256), and label i mod 3."""
    index = torch.arange(count)
    return Part(index.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous(), index % 3)


def make_data(train: int = 20, val: int = 7, test: int = 5) -> DeviceData:
    """Data that normalisation leaves as they are, so that a method sees an image's number."""
    one = torch.ones(1, 1, 1, 1)
    return DeviceData(make_part(train), make_part(val), make_part(test), mean=0 * one, std=one)


class Recorder(Method):
    """Notes the numbers and labels of the images it is given; draws `draws` random numbers at each step."""

    summary = "records"
    epoch_definition = "one pass"
    draws = 0
    losses: tuple[float, ...] = (1.0,)

    def __init__(self, shape: TaskShape = SHAPE, options: Options | None = None) -> None:
        super().__init__(shape, options or Options())
        self.weight = nn.Parameter(torch.rand(3))
        self.seen: list[list[int]] = []
        self.labels: list[list[int]] = []
        self.modes: list[bool] = []
        self.predicted: list[list[int]] = []

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self.parameters())

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        torch.rand(self.draws)
        self.modes.append(self.training)
        self.seen.append([int(number) for number in x[:, 0, 0, 0]])
        self.labels.append(y.tolist())
        loss: Tensor = (self.weight.square().sum() + 1) * x.mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return torch.tensor(self.losses[(len(self.seen) - 1) % len(self.losses)])

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Right for every image but those whose number is a multiple of 4."""
        numbers = x[:, 0, 0, 0].long()
        self.predicted.append(numbers.tolist())
        answer = torch.where(numbers % 4 == 0, (numbers + 1) % 3, numbers % 3)
        return nn.functional.one_hot(answer, 3).float()

    def optimizers(self) -> Iterator[Optimizer]:
        yield self._optimizer

    def stack(self) -> Iterable[nn.Module]:
        return []


def plain_sgd(parameters: Iterable[nn.Parameter]) -> Optimizer:
    return torch.optim.SGD(parameters, lr=0.01)


def recorder(cls: type[Recorder] = Recorder) -> Recorder:
    """One that is set up."""
    method = cls()
    method.set_up(plain_sgd)
    return method
