"""Floating-point operations, by PyTorch's own formulas for each operator and the shapes that it is given."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from bench.meters.base import Meter
from methods.networks.concurrent import on_one_thread
from methods.networks.layers import onednn_has_avx512


class FlopMeter(Meter):
    """Context manager: `flops` is what ran inside it, backward passes too, a multiplication and an addition as two.

    Matrix products, convolutions and attention are counted; element-wise work (activations, normalisation, an
    optimiser's update) is not. Deterministic: only the shapes matter.

    Example:
        >>> with FlopMeter() as meter:
        ...     model(x).sum().backward()
        >>> meter.flops
    """

    def __init__(self, field: str = "train_flops_per_image", images: int = 1) -> None:
        """Count for this field of `CellResult`, over so many images."""
        self._field, self._images = field, images
        formulas: dict[Any, Any] = {torch.ops.aten.convolution_backward: _convolution_backward}
        if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
            formulas[torch.ops.mkldnn._linear_pointwise] = _linear
        self._counter: Any = FlopCounterMode(display=False, custom_mapping=formulas)
        # Which module an operation belongs to is of no interest here, and the hooks that tell it refuse a call of
        # autograd.grad inside a backward pass, which the adjoint method makes.
        no_modules: Any = nullcontext()
        no_modules.parents = ("Global",)
        self._counter.mod_tracker = no_modules
        self._entered = ExitStack()

    @property
    def flops(self) -> int:
        """Operations so far."""
        return int(self._counter.get_total_flops())

    def start(self) -> None:
        onednn_has_avx512()  # which tries it the first time
        self._entered.enter_context(on_one_thread())  # which alone is counted
        self._entered.enter_context(_without_compiler())
        self._entered.enter_context(self._counter)

    def stop(self) -> None:
        self._entered.close()

    def fields(self) -> dict[str, Any]:
        return {self._field: self.flops / self._images}


@contextmanager
def _without_compiler() -> Iterator[None]:
    """PyTorch marks what sees each operation as not to be compiled, and its first call imports the compiler for that.

    The import is slow, and only methods that use `torch.compile` need it; these have imported it before.
    """
    watching = getattr(flop_counter, "_FlopCounterMode", None)
    if watching is None or "torch._dynamo" in sys.modules:
        yield
        return
    marked = watching.__torch_dispatch__
    watching.__torch_dispatch__ = inspect.unwrap(marked)
    try:
        yield
    finally:
        watching.__torch_dispatch__ = marked


def _linear(x: Any, weight: Any, *_: Any, out_shape: Any) -> int:
    """A linear layer by oneDNN, for which PyTorch has no formula."""
    return int(2 * math.prod(x) * weight[0])


def _convolution_backward(*args: Any, out_shape: Any) -> int:
    """PyTorch's formula, put right for the weights of grouped convolutions: a group meets only its own channels."""
    *shapes, groups, wanted = args
    formula: Any = flop_registry[torch.ops.aten.convolution_backward]
    masks = ([wanted[0], False, False], [False, wanted[1], False])
    of_input, of_weights = (formula(*shapes, groups, mask, out_val=out_shape) for mask in masks)
    return int(of_input + of_weights // groups)
