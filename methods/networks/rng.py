"""Random numbers for parts that are trained independently: each part has its own, whatever the others draw.

So a block's noise and dropout are the same whether the other blocks are trained before it, after it, elsewhere, or not
at all.
"""

from __future__ import annotations

import hashlib

import torch


class Streams:
    """For every step and each part a seed of its own; all follow from PyTorch's state at the first step."""

    def __init__(self) -> None:
        self._base: int | None = None
        self.step = -1
        """The present one; set it back to draw the numbers of the steps after it again."""

    def next_step(self) -> None:
        """A new step begins."""
        if self._base is None:
            self._base = int(torch.randint(2**31, ()))
        self.step += 1

    def enter(self, part: int) -> None:
        """From now on PyTorch draws this part's numbers of this step, on every device."""
        assert self._base is not None
        seed = hashlib.blake2b(f"{self._base} {self.step} {part}".encode(), digest_size=8).digest()
        torch.manual_seed(int.from_bytes(seed) >> 1)
