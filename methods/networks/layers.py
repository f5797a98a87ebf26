"""PyTorch layers, computed in a way that is cheaper on a CPU or correct in mixed precision: the same functions."""

import torch
from torch import Tensor, nn

from methods.networks.rng import current

_LANES = 2**16
"""Values of a 16-bit number."""


class Conv2d(nn.Conv2d):
    """PyTorch's, in mixed precision also under `torch.vmap`, which CPU autocast ignores."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height, width)."""
        kind = x.device.type
        if not torch.is_autocast_enabled(kind):
            return super().forward(x)
        dtype = torch.get_autocast_dtype(kind)
        bias = None if self.bias is None else self.bias.to(dtype)
        return self._conv_forward(x.to(dtype), self.weight.to(dtype), bias)


class Dropout(nn.Dropout):
    """PyTorch's. On a CPU each draw of a 64-bit number gives the mask of four numbers, 16 bits each.

    So the probability is a multiple of 2**-16, and what is kept is scaled by that: expectations are exact.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same; drawn from the current generator."""
        dropped = round(self.p * _LANES)
        if not self.training or dropped in (0, _LANES) or x.device.type != "cpu":
            return super().forward(x)
        return x * _kept(x, dropped) * (_LANES / (_LANES - dropped))


def _kept(x: Tensor, dropped: int) -> Tensor:
    """Where x, (batch, channels, height, width), is kept: `dropped` of 2**16 cases are not."""
    batch, channels, height, width = x.shape
    count = x.numel()
    whole = torch.iinfo(torch.int64)
    draws = torch.randint(whole.min, whole.max, (-(-count // 4),), device=x.device, generator=current())
    lanes = draws.view(torch.int16)[:count].view(batch, height, width, channels)  # as x lies in memory
    return lanes.permute(0, 3, 1, 2) >= torch.iinfo(torch.int16).min + dropped


class BatchNorm1d(nn.BatchNorm1d):
    """PyTorch's, at the precision of its own parameters whatever that of its input (mixed precision)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        return super().forward(x.to(self.weight.dtype))
