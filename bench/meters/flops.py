"""Floating-point operations of a call, by PyTorch's own formulas: they depend on the shapes, not on the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _Counter(TorchDispatchMode):
    """PyTorch's FlopCounterMode without its book of modules, whose hooks stop `torch.autograd.grad` inside a step."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if formula := flop_registry.get(func._overloadpacket):
            self.total += int(formula(*args, **kwargs, out_val=result))
        return result


def count_flops(call: Callable[[], Any]) -> int:
    """The operations of everything that the call computes, its backward passes too.

    Matrix products and convolutions alone are counted, a multiplication and an addition as two. Sums, activations,
    norms and optimisers are not: they take time, but few operations.
    """
    counter = _Counter()
    with counter:
        call()
    return counter.total
