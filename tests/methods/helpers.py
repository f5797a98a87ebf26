"""Small networks, toy data and real digits for the tests of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Generator, Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

import methods
from methods.core.method import Method, TaskShape

SHAPE = TaskShape(channels=1, height=8, width=8, num_classes=10)


def adamw(parameters: Iterable[nn.Parameter]) -> Optimizer:
    return AdamW(parameters, lr=1e-3, weight_decay=1e-3)


def plain_sgd(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Moves a parameter if and only if its gradient is not zero."""
    return SGD(parameters, lr=0.1)


def build(name: str, seed: int = 0, shape: TaskShape = SHAPE, make_optimizer: Any = adamw, **options: object) -> Any:
    """A method, set up, from a seed."""
    torch.manual_seed(seed)
    cls = methods.get(name)
    method = cls(shape, cls.Options.parse(options))
    method.set_up(make_optimizer)
    return method


def batch(size: int = 32, shape: TaskShape = SHAPE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = Generator().manual_seed(seed)
    x = torch.randn(size, shape.channels, shape.height, shape.width, generator=generator)
    return x, torch.randint(shape.num_classes, (size,), generator=generator)


def real_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_test, y_test of scikit-learn's digits, normalised, 1,280 for training."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=Generator().manual_seed(0))
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)[order]
    y = torch.tensor(digits.target)[order]
    x = (x - x[:1280].mean()) / x[:1280].std()
    return x[:1280], y[:1280], x[1280:], y[1280:]


def train(method: Method, x: Tensor, y: Tensor, epochs: int, batch_size: int = 64) -> None:
    """Plain training in a seeded order."""
    generator = Generator().manual_seed(0)
    method.train()
    for _ in range(epochs):
        for index in torch.randperm(len(y), generator=generator).split(batch_size):
            method.train_step(x[index], y[index])
    method.eval()


def accuracy(method: Method, x: Tensor, y: Tensor) -> float:
    method.eval()
    predicted = method.predict(x, Generator().manual_seed(0)).argmax(dim=1)
    return float((predicted == y).float().mean())


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before: dict[str, Tensor], module: nn.Module) -> bool:
    """Whether nothing has changed, to the bit."""
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def hidden_layers(method: Any) -> list[list[Tensor]]:
    """Parameters of each hidden layer of an image path without batch norm."""
    convolutions = [m for m in method.image_path.convolutions if isinstance(m, nn.Conv2d)]
    return [list(module.parameters()) for module in [*convolutions, method.image_path.linear]]


def later_layers_do_not_matter(name: str, layers_of: Callable[[Any], list[list[Tensor]]]) -> None:
    """Whatever layers 3 and on compute, the first two learn the same, to the bit; and the third does not."""
    trained = []
    for scale in (1.0, -3.0):
        method = build(name, make_optimizer=plain_sgd)
        layers = layers_of(method)
        with torch.no_grad():
            for p in (p for layer in layers[2:] for p in layer):
                p.mul_(scale)
        torch.manual_seed(1)
        for step in range(2):
            method.train_step(*batch(seed=step))
        trained.append(layers)
    one, other = trained
    assert all(torch.equal(*pair) for k in (0, 1) for pair in zip(one[k], other[k], strict=True))
    assert not torch.equal(one[2][0], other[2][0])
