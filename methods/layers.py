"""PyTorch's own layers, computed in a way that is cheaper on a CPU or right in mixed precision: the same functions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LANES = 2**16
"""Values of a 16-bit number."""


class Dropout(nn.Dropout):
    """PyTorch's. On a CPU its mask comes from 16 bits for each number, four from one draw, instead of a draw for each.

    So the probability is a multiple of 2**-16, by which what is kept is scaled, too: expectations are exact.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same; drawn from PyTorch's generator."""
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return super().forward(x)
        dropped = round(self.p * _LANES)
        return x * _kept(x, dropped) * (_LANES / (_LANES - dropped))


def _kept(x: Tensor, dropped: int) -> Tensor:
    """Where x, (batch, channels, height, width), is kept: in `dropped` of 2**16 cases it is not."""
    batch, channels, height, width = x.shape
    count = x.numel()
    whole = torch.iinfo(torch.int64)
    draws = torch.randint(whole.min, whole.max, (-(-count // 4),), device=x.device)
    lanes = draws.view(torch.int16)[:count].view(batch, height, width, channels)  # as x lies in memory
    return lanes.permute(0, 3, 1, 2) >= torch.iinfo(torch.int16).min + dropped


class BatchNorm1d(nn.BatchNorm1d):
    """PyTorch's, at the precision of its own parameters whatever that of its input (mixed precision)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        return super().forward(x.to(self.weight.dtype))
