"""Floating-point operations, by PyTorch's own formulas for each operator and the shapes that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager: `flops` is what ran inside it, backward passes too, a multiplication and an addition as two.

    Counted are matrix products, convolutions and attention; whatever works element by element (activations,
    normalisation, an optimiser's update) is not. Deterministic: the shapes alone decide.

    PyTorch's `FlopCounterMode` gives the same but for grouped convolutions (see `_too_many`). It also says which module
    an operation belongs to, and the hooks that it needs for that refuse a call of `autograd.grad` inside a backward
    pass, as the adjoint method makes it.

    Example:
        >>> with FlopMeter() as meter:
        ...     model(x).sum().backward()
        >>> meter.flops
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: int = 0
        self._primitive: set[Any] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operator and count it, or, where it is made of others, have those counted."""
        given = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None and func not in self._primitive:
            with self:
                result = func.decompose(*args, **given)
            if result is not NotImplemented:
                return result
            self._primitive.add(func)
        result = func(*args, **given)
        if formula is not None:
            self.flops += formula(*args, **given, out_val=result)
            if func.overloadpacket is torch.ops.aten.convolution_backward:
                self.flops -= _too_many(args, result)
        return result


def _too_many(args: tuple[Any, ...], result: Any) -> int:
    """What PyTorch's formula counts too many for a convolution's weights: it has every group of channels meet all."""
    *shapes, groups, wanted = args
    of_weights = flop_registry[torch.ops.aten.convolution_backward](
        *shapes, groups, [False, wanted[1], False], out_val=result
    )
    return int(of_weights - of_weights // groups)
