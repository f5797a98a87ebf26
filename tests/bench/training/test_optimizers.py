"""Optimisers without PyTorch's compiler: the same updates, and it stays out of the process."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from bench.training.optimizers import OPTIMIZERS

TRAIN = """
import sys
import torch
from bench.training.optimizers import OPTIMIZERS
weight = torch.ones(2, requires_grad=True)
optimizer = OPTIMIZERS["AdamW"]([weight], fused=True)
weight.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def _trained(kind: type[Optimizer]) -> list[Tensor]:
    """Weights after two updates, a reload of the state and another update."""
    first, second = torch.linspace(-1, 1, 5, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = kind([{"params": [first]}, {"params": [second]}], lr=0.1, weight_decay=0.3, fused=True)  # type: ignore[call-arg]
    for k in range(3):
        ((first**3).sum() * second.prod() * (k + 1)).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert first.grad is None
        if k == 1:
            optimizer.load_state_dict(optimizer.state_dict())
    return [first.detach(), second.detach()]


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_updates_are_those_of_the_plain_optimizer(kind: type[Optimizer]) -> None:
    ours = OPTIMIZERS[kind.__name__]
    assert repr(ours([torch.ones(1)])).startswith(f"{kind.__name__} (")
    for mine, plain in zip(_trained(ours), _trained(kind), strict=True):
        assert torch.equal(mine, plain)


def test_the_compiler_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
