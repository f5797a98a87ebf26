"""Offloading: the blocks of a stack and their optimisers' states take turns in the device's memory.

From a GPU they go to host memory; from the CPU, to unnamed temporary files, which the system removes when the process
ends, however it ends.
"""

import tempfile
import weakref
from collections.abc import Sequence
from typing import BinaryIO

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from methods.networks.block_stack import BlockStack


class _Part:
    """Tensors that come and go together, and stay the same objects. Offloaded ones have a shape but no memory for it.

    Numbers move tensor by tensor, so that moving them takes no memory for all of them at once.
    """

    def __init__(self, owner: nn.Module | Optimizer) -> None:
        self._owner = owner
        self._strides: list[tuple[int, ...]] = []
        self._on_host: list[Tensor] = []
        self._file: BinaryIO | None = None
        self._here = self._changed = True  # changed: perhaps, since they were last copied

    def _tensors(self) -> list[Tensor]:
        """Parameters and buffers of a module, or an optimiser's state."""
        if isinstance(self._owner, nn.Module):
            return [*self._owner.parameters(), *self._owner.buffers()]
        return [value for state in self._owner.state.values() for value in state.values() if isinstance(value, Tensor)]

    def offload(self) -> None:
        if not self._here:
            return
        tensors = self._tensors()
        if self._changed:
            self._copy(tensors)
        for tensor in tensors:
            tensor.data = tensor.new_empty(()).expand(tensor.shape)
        self._here = self._changed = False

    def restore(self, *, to_change: bool) -> None:
        if not self._here:
            if self._file is not None and not self._on_host:
                self._file.seek(0)
            for k, (tensor, stride) in enumerate(zip(self._tensors(), self._strides, strict=True)):
                place = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=tensor.device)
                if self._on_host:
                    _flat(place).copy_(self._on_host[k])
                else:
                    self._file.readinto(_bytes(place))  # type: ignore[union-attr]
                tensor.data = place
        self._here = True
        self._changed = self._changed or to_change

    def _copy(self, tensors: list[Tensor]) -> None:
        self._strides = [tensor.stride() for tensor in tensors]
        self._on_host = []
        if any(tensor.device.type != "cpu" for tensor in tensors):
            self._on_host = [_flat(tensor).cpu() for tensor in tensors]
            return
        if self._file is None and tensors:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this part
            weakref.finalize(self, self._file.close)
        if self._file is not None:
            self._file.seek(0)
            for tensor in tensors:
                self._file.write(_bytes(tensor))


class OffloadedBlocks:
    """Keeps at most one block on the device, with its optimiser's state while it is trained."""

    def __init__(self, net: BlockStack, optimizers: Sequence[Optimizer]) -> None:
        """Offload all blocks and states; `optimizers` has one for each block.

        A block returns when the stack uses it; all return when the stack's state is read or set, and an optimiser's
        state when that is read.
        """
        self._blocks = [_Part(block) for block in net.blocks]
        self._states = [_Part(optimizer) for optimizer in optimizers]
        self.offload()
        for part, optimizer in zip(self._states, optimizers, strict=True):
            optimizer.register_state_dict_pre_hook(lambda *_, part=part: part.restore(to_change=True))
        net.before_block = self._use
        net.register_state_dict_pre_hook(lambda *_: self._restore_all())  # type: ignore[no-untyped-call]
        net.register_load_state_dict_pre_hook(lambda *_: self._restore_all())  # type: ignore[no-untyped-call]

    def offload(self) -> None:
        """All blocks and states."""
        for part in (*self._blocks, *self._states):
            part.offload()

    def train(self, t: int) -> None:
        """Bring block t, t = 1..T, and its optimiser's state, to be changed."""
        _bring(self._blocks, t, to_change=True)
        _bring(self._states, t, to_change=True)

    def _use(self, t: int) -> None:
        torch.clear_autocast_cache()  # in mixed precision it would keep the block before
        _bring(self._blocks, t, to_change=False)

    def _restore_all(self) -> None:
        for part in self._blocks:
            part.restore(to_change=True)


def _bring(parts: Sequence[_Part], t: int, *, to_change: bool) -> None:
    """Offload all parts but number t, from 1, and restore that."""
    for other, part in enumerate(parts, start=1):
        if other != t:
            part.offload()
    parts[t - 1].restore(to_change=to_change)


def _flat(tensor: Tensor) -> Tensor:
    """All numbers in the order in which they lie in memory, which they fill without gaps: (N,)."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor on the CPU."""
    return _flat(tensor).view(torch.uint8).numpy().data
