"""Small networks, toy data and real digits for the tests of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

import methods
from bench.contract import GREY as SHAPE
from bench.contract import accuracy, adamw, batch, real_digits, same, snapshot, train
from methods.core.method import TaskShape

__all__ = ["SHAPE", "accuracy", "adamw", "batch", "build", "real_digits", "same", "snapshot", "train"]


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
