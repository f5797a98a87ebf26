"""Exact bytes of activations that autograd holds for backward, by PyTorch's saved-tensor hooks."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class _Held:
    """A saved tensor, counted from when autograd saves it until it lets go of it."""

    def __init__(self, tensor: Tensor, meter: ActivationMeter) -> None:
        self.tensor = tensor.detach()
        self._meter = meter
        self._counts = meter._add(self.tensor)

    def __del__(self) -> None:
        if self._counts:
            self._meter._remove(self.tensor)


class ActivationMeter:
    """Context manager: `peak_bytes` is the most that was held for backward at any moment inside it.

    Counted by storage: a tensor saved twice, or a view of one, counts once, at its storage's full size, since that is
    what stays in memory. Parameters and buffers are held anyway and do not count; the batch of images does, once. What
    comes out depends on the method, the shapes and the version of PyTorch, not on the machine's load or allocator.

    Example:
        >>> with ActivationMeter(model.parameters(), model.buffers()) as meter:
        ...     model(x).sum().backward()
        >>> meter.peak_bytes
    """

    def __init__(self, *ignored: Iterable[Tensor]) -> None:
        """Give the tensors that do not count, for instance `method.parameters()` and `method.buffers()`."""
        self._ignored = [tensor for tensors in ignored for tensor in tensors]
        self._holders: dict[int, int] = {}
        self._live_bytes = 0
        self.peak_bytes = 0
        self._hooks = saved_tensors_hooks(lambda tensor: _Held(tensor, self), lambda held: held.tensor)

    def __enter__(self) -> Self:
        self._hooks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _add(self, tensor: Tensor) -> bool:
        """Count a tensor; False where it does not count."""
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        # Looked up each time: a method may move its parameters while it trains.
        if any(key == ignored.untyped_storage().data_ptr() for ignored in self._ignored):
            return False
        holders = self._holders.get(key, 0)
        self._holders[key] = holders + 1
        if holders == 0:
            self._live_bytes += storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        return True

    def _remove(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        self._holders[key] -= 1
        if self._holders[key] == 0:
            del self._holders[key]
            self._live_bytes -= storage.nbytes()
