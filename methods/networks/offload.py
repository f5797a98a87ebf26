"""Parts that take turns in a device's memory: one is in place, the others are kept elsewhere.

From a card, the others go to the host's memory; from the CPU, to temporary files without a name, which the system takes
back when the process ends, however it ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from methods.networks.backbone import BlockStack


class OneInPlace:
    """Keeps at most one of several parts in place. A part is some tensors, which stay the same objects.

    A tensor that is away has its shape, and no memory for its numbers: whoever uses it must have asked for its part.
    """

    def __init__(self, parts: Sequence[Callable[[], Iterable[Tensor]]]) -> None:
        """All are in place at first.

        Args:
            parts: each gives its tensors, the same ones in the same order as long as the part is away.
        """
        self._parts = [_Part(tensors) for tensors in parts]

    def bring(self, number: int, *, to_change: bool) -> None:
        """Put a part in place, and all others away.

        Args:
            number: of the part, from 0.
            to_change: whether its tensors may be changed until it is put away.
        """
        for other, part in enumerate(self._parts):
            if other != number:
                part.put_away()
        self._parts[number].put_back(to_change=to_change)

    def put_away(self) -> None:
        """From now on none is in place."""
        for part in self._parts:
            part.put_away()

    def bring_all(self) -> None:
        """All are in place, until the next one is asked for."""
        for part in self._parts:
            part.put_back(to_change=True)


class BlocksInTurn:
    """The blocks of a stack and their optimisers' states: one block is in place, with its state while it is trained."""

    def __init__(self, net: BlockStack, optimizers: Sequence[Optimizer]) -> None:
        """Put all away. A block comes back when the stack uses it; all do when the stack's state is read or set.

        Args:
            net: the stack.
            optimizers: one for each block.
        """
        self._blocks = OneInPlace([partial(_tensors_of, block) for block in net.blocks])
        self._states = OneInPlace([partial(_state_of, optimizer) for optimizer in optimizers])
        self._blocks.put_away()
        self._states.put_away()
        net.before_block = self._to_use
        net.register_state_dict_pre_hook(lambda *_: self._blocks.bring_all())  # type: ignore[no-untyped-call]
        net.register_load_state_dict_pre_hook(lambda *_: self._blocks.bring_all())  # type: ignore[no-untyped-call]

    def _to_use(self, t: int) -> None:
        torch.clear_autocast_cache()  # in mixed precision it would keep the block before
        self._blocks.bring(t - 1, to_change=False)

    def to_train(self, t: int) -> None:
        """Block t is to be trained, t = 1..T."""
        self._blocks.bring(t - 1, to_change=True)
        self._states.bring(t - 1, to_change=True)


def _tensors_of(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _state_of(optimizer: Optimizer) -> Iterator[Tensor]:
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))


@dataclass
class _Part:
    """Tensors that come and go together."""

    tensors: Callable[[], Iterable[Tensor]]
    copy: _Copy | None = None
    changed: bool = True
    """Since the copy was made, perhaps."""
    in_place: bool = True

    def put_away(self) -> None:
        if not self.in_place:
            return
        tensors = list(self.tensors())
        if self.copy is None or self.changed:
            self.copy = _Copy(tensors)
        for tensor in tensors:
            tensor.data = tensor.new_empty(()).expand(tensor.shape)
        self.in_place = self.changed = False

    def put_back(self, *, to_change: bool) -> None:
        if not self.in_place:
            assert self.copy is not None
            self.copy.give_back(list(self.tensors()))
        self.in_place = True
        self.changed = self.changed or to_change


class _Copy:
    """The numbers of some tensors, away from their device, and how they lay there.

    They move tensor by tensor, so that moving them takes no memory for all of them at once.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._strides = [tensor.stride() for tensor in tensors]
        self._on_host: list[Tensor] = []
        self._file: BinaryIO | None = None
        if any(tensor.device.type != "cpu" for tensor in tensors):
            self._on_host = [_flat(tensor).cpu() for tensor in tensors]
            return
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        for tensor in tensors:
            _bytes(tensor).numpy().tofile(self._file)

    def give_back(self, tensors: Sequence[Tensor]) -> None:
        """Put the numbers into the tensors that they came from."""
        if self._file is not None:
            self._file.seek(0)
        for k, (tensor, stride) in enumerate(zip(tensors, self._strides, strict=True)):
            place = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=tensor.device)
            if self._file is not None:
                _bytes(place).copy_(torch.from_numpy(np.fromfile(self._file, np.uint8, place.nbytes)))
            else:
                _flat(place).copy_(self._on_host[k])
            tensor.data = place


def _flat(tensor: Tensor) -> Tensor:
    """All numbers in the order in which they lie in memory, which they fill without gaps: (N,)."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a tensor, uint8, (nbytes,)."""
    return _flat(tensor).view(torch.uint8)
