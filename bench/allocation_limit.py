"""A bound on the memory that code may ask for whose sizes come from a file that nobody vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode


class AllocationLimitError(Exception):
    """More was asked for than is allowed; what went too far was not allocated."""


class AllocationLimit(TorchDispatchMode):
    """A context in which at most so many numbers can be made, all new tensors taken together.

    What makes a tensor from sizes alone (`empty`, `randn`, `eye`, `linspace`, ...) is first tried on the meta device,
    where tensors have sizes but no memory. What is computed from tensors is not counted: its size follows from theirs.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = numbers

    def __torch_dispatch__(
        self, func: OpOverload[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Let an operation run if what it makes is still allowed.

        Raises:
            AllocationLimitError: it is not.
        """
        kwargs = kwargs or {}
        if any(argument.name == "device" for argument in func._schema.arguments):
            tried = kwargs | {"device": "meta"}
            if "generator" in tried:
                tried["generator"] = None  # the trial must not draw
            self._left -= func(*args, **tried).numel()
            if self._left < 0:
                raise AllocationLimitError("it asks for more memory than is allowed")
        return func(*args, **kwargs)
