"""Exact bytes of the activations that autograd holds for backward, by PyTorch's saved-tensor hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bench.meters.base import Meter
from methods.networks.concurrent import on_one_thread


class ActivationMeter(Meter):
    """Context manager: `peak_bytes` is the most that was held for backward at any moment inside it.

    Counted by storage: a tensor saved twice, or a view of one, counts once, at its storage's full size, since that is
    what stays in memory. Parameters and buffers are held anyway and do not count; the batch of images does, once. The
    result depends on the method, the shapes, the version of PyTorch and whether layers are compiled, and neither on the
    machine's load nor on its allocator.

    Example:
        >>> with ActivationMeter(model.parameters(), model.buffers()) as meter:
        ...     model(x).sum().backward()
        >>> meter.peak_bytes
    """

    def __init__(self, *ignored: Iterable[Tensor]) -> None:
        """Give the tensors that do not count, for instance `method.parameters()` and `method.buffers()`."""
        self._ignored = [tensor for tensors in ignored for tensor in tensors]
        self._places: list[int] = []
        self._ignored_storages: set[int] = set()
        self._holders: Counter[int] = Counter()
        self._live_bytes = 0
        self.peak_bytes = 0
        self._entered = ExitStack()

    def start(self) -> None:
        self._entered.enter_context(on_one_thread())  # which alone has the hooks
        self._entered.enter_context(saved_tensors_hooks(lambda tensor: _Held(tensor, self), lambda held: held.tensor))

    def stop(self) -> None:
        self._entered.close()

    def fields(self) -> dict[str, Any]:
        return {"activation_bytes": self.peak_bytes}

    def hold(self, tensor: Tensor, change: int) -> None:
        """Count one holder of a tensor more (1) or less (-1)."""
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        self._holders[key] += change
        if self._holders[key] == max(change, 0):  # the first has come, or the last has gone
            self._live_bytes += change * storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self._live_bytes)

    def counts(self, tensor: Tensor) -> bool:
        """Whether a tensor is none of the ignored ones, wherever a method has moved these while it trains."""
        places = list(map(Tensor.data_ptr, self._ignored))  # far cheaper than to ask for their storages each time
        if places != self._places:
            self._places = places
            self._ignored_storages = {ignored.untyped_storage().data_ptr() for ignored in self._ignored}
        return tensor.untyped_storage().data_ptr() not in self._ignored_storages


class _Held:
    """A saved tensor, counted from when autograd saves it until it lets go of it."""

    def __init__(self, tensor: Tensor, meter: ActivationMeter) -> None:
        self.tensor = tensor.detach()
        self._meter = meter if meter.counts(tensor) else None
        if self._meter:
            self._meter.hold(self.tensor, 1)

    def __del__(self) -> None:
        if self._meter:
            self._meter.hold(self.tensor, -1)
