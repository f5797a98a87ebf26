"""PyTorch layers, computed in a way that is cheaper on a CPU or correct in mixed precision: the same functions."""

from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from methods.networks.compiled import Functions, functions
from methods.networks.rng import current

_LANES = 2**16
"""Values of a 16-bit number."""
_WIDE = 64
"""Features on either side, from which on oneDNN's product gains what its call costs."""


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


class Linear(nn.Linear):
    """PyTorch's, in float32 by oneDNN where the processor has AVX512.

    PyTorch multiplies matrices of float32 by MKL, which uses AVX2 on processors other than Intel's, so that a product
    takes twice as long there. oneDNN computes the gradient, too, which then has none of its own; with the environment
    variable `ATEN_CPU_CAPABILITY=avx2` all is PyTorch's, and has.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_features) to (batch, out_features)."""
        if min(self.weight.shape) < _WIDE or not _by_onednn(x):
            return super().forward(x)
        y: Tensor = _Linear.apply(x, self.weight, self.bias)
        return y


class Convolutions(nn.Sequential):
    """Modules one after another. Compiled, pooling, ReLU and the dropout that follows are one pass each way.

    Hooks of such a dropout are not called, and those of the pooling see what is dropped out.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As PyTorch's."""
        modules = deque(self)
        while modules:
            module = modules.popleft()
            following = modules[0] if modules else None
            if type(module) is MaxPoolReLU and type(following) is Dropout and following.drops:
                x = module(x, modules.popleft())
            else:
                x = module(x)
        return x


class MaxPoolReLU(nn.Module):
    """The maximum of every 2x2 positions, then ReLU.

    Compiled, it is one pass each way and keeps a byte for each output: which place it is from, and whether it is
    dropped. It then has no gradient of its gradient; with the environment variable `CC=false` it is PyTorch's
    operations, which have.
    """

    def forward(self, x: Tensor, dropout: "Dropout | None" = None) -> Tensor:
        """(batch, channels, height, width) to (batch, channels, height / 2, width / 2), rounded down.

        What `dropout`, one that drops, would do with it is done in the same pass.
        """
        compiled = _compiled(x)
        if compiled is None or x.dim() != 4 or min(x.shape[2:]) < 2:
            y = F.max_pool2d(x, 2).relu()
            return y if dropout is None else dropout(y)
        drop = None
        if dropout is not None:
            height, width = x.shape[2:]
            drop = (_random(x, (height // 2, width // 2)), dropout.bound, dropout.scale)
        return _MaxPoolReLU.apply(x.contiguous(memory_format=torch.channels_last), drop, compiled)


class Dropout(nn.Dropout):
    """PyTorch's. On a CPU each draw of a 64-bit number gives the mask of four numbers, 16 bits each.

    So the probability is a multiple of 2**-16, and what is kept is scaled by that: expectations are exact.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same; drawn from the current generator."""
        if not self.drops or x.device.type != "cpu":
            return super().forward(x)
        random = _random(x, x.shape[2:])
        compiled = _compiled(x)
        if compiled is None:
            return x * (random >= self.bound) * self.scale
        y: Tensor = _Dropout.apply(
            x.contiguous(memory_format=torch.channels_last), random, self.bound, self.scale, compiled
        )
        return y

    @property
    def drops(self) -> bool:
        """Whether some numbers are dropped, and some kept."""
        return self.training and 0 < self._dropped < _LANES

    @property
    def bound(self) -> int:
        """The least 16 bits, a signed number, that keep one."""
        return torch.iinfo(torch.int16).min + self._dropped

    @property
    def scale(self) -> float:
        """What is kept is multiplied by this."""
        return _LANES / (_LANES - self._dropped)

    @property
    def _dropped(self) -> int:
        return round(self.p * _LANES)


def _random(x: Tensor, size: Sequence[int]) -> Tensor:
    """16 random bits for each number of as many maps as x's, of that size, in the order of `channels_last`."""
    (batch, channels), (height, width) = x.shape[:2], size
    count = batch * channels * height * width
    whole = torch.iinfo(torch.int64)
    draws = torch.randint(whole.min, whole.max, (-(-count // 4),), device=x.device, generator=current())
    return draws.view(torch.int16)[:count].view(batch, height, width, channels).permute(0, 3, 1, 2)


def _compiled(x: Tensor) -> Functions | None:
    """What computes with x; None: PyTorch's operations, one after another."""
    return functions(x.dtype) if _plain(x) else None


def _plain(x: Tensor) -> bool:
    """Whether x is numbers on the CPU, and no more: no subclass, and no transform's view of them."""
    return (
        x.device.type == "cpu" and type(x) in (Tensor, nn.Parameter) and not torch._C._are_functorch_transforms_active()
    )


def _by_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes linear layers of x, (batch, features)."""
    if x.dim() != 2 or x.dtype is not torch.float32 or not _plain(x) or torch.is_autocast_enabled("cpu"):
        return False
    return x.numel() > 0 and onednn_has_avx512()


@cache
def onednn_has_avx512() -> bool:
    """Whether this processor has AVX512, and this PyTorch the operation, which is not a public one."""
    if "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    try:
        return _product(torch.ones(1, 1), torch.ones(1, 1)).item() == 1
    except (AttributeError, RuntimeError, TypeError):
        return False


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        of_x, of_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if of_weight else None, weight if of_x else None)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(grad, weight.t()) if of_x else None,
            _product(grad.t(), x.t()) if of_weight else None,
            grad.sum(0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `F.linear` gives, by oneDNN."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


class _MaxPoolReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: tuple[Tensor, int, float] | None, compiled: Functions) -> Tensor:
        y, places = compiled.pool(x, dropout)
        ctx.save_for_backward(places)
        ctx.compiled, ctx.shape, ctx.scale = compiled, x.shape, 1.0 if dropout is None else dropout[-1]
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        grad, places = (each.contiguous(memory_format=torch.channels_last) for each in (grad, places))
        return ctx.compiled.pool_back(grad, places, ctx.shape, ctx.scale), None, None


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, random: Tensor, bound: int, scale: float, compiled: Functions) -> Tensor:
        y, kept = compiled.drop(x, random, bound, scale)
        ctx.save_for_backward(kept)
        ctx.compiled, ctx.scale = compiled, scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (kept,) = ctx.saved_tensors
        grad, kept = (each.contiguous(memory_format=torch.channels_last) for each in (grad, kept))
        return ctx.compiled.drop_back(grad, kept, ctx.scale), None, None, None, None


class BatchNorm1d(nn.BatchNorm1d):
    """PyTorch's, at the precision of its own parameters whatever that of its input (mixed precision)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        return super().forward(x.to(self.weight.dtype))
