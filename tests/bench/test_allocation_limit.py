"""The bound on what code may allocate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from bench.models import AllocationLimit, AllocationLimitError

TOO_LARGE = 2**50
"""More than any machine has: a test that allocates it fails in another way."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(TOO_LARGE),
        lambda: torch.randn(TOO_LARGE, generator=Generator()),
        lambda: torch.eye(2**25),
        lambda: torch.linspace(0, 1, TOO_LARGE),
        lambda: torch.zeros(1).new_zeros(TOO_LARGE),
        lambda: nn.Linear(2**25, 2**25),
    ],
)
def test_refuses_before_it_allocates(make: Callable[[], object]) -> None:
    with pytest.raises(AllocationLimitError), AllocationLimit(1000):
        make()


def test_all_that_is_made_counts_together() -> None:
    with AllocationLimit(100):
        torch.ones(60)
        torch.ones(40)
        with pytest.raises(AllocationLimitError):
            torch.ones(1)


def test_changes_no_number() -> None:
    def drawn() -> list[Tensor]:
        torch.manual_seed(3)
        return [torch.rand(5), torch.randn(5, generator=Generator().manual_seed(4)), nn.Linear(3, 2).weight]

    plain = drawn()
    with AllocationLimit(1000):
        watched = drawn()
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
