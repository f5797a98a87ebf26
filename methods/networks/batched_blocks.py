"""Blocks of one structure as one batched computation: their parameters stacked, one call for all of them.

The blocks share nothing, so that the sum of their losses has each block's own gradients, and an optimiser that works
number by number (Adam, AdamW, SGD) does to the stack what one for each block would do. What changes is how much there
is to do at once: many small operations become few large ones, and what backward needs is held for all blocks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call


class BatchedBlocks:
    """The blocks' parameters and buffers as stacked tensors, of which the blocks themselves now hold views.

    So inference, saving and counting go on through the blocks, and what is trained is the stack.
    """

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        """Stack them.

        Args:
            blocks: at least one, alike in structure, on one device.
        """
        # The structure alone: what it computes with is handed over at each call.
        self._structure = copy.deepcopy(blocks[0]).to("meta")
        self._modules = list(blocks)
        self._parameters = {
            name: nn.Parameter(_stacked([block.get_parameter(name) for block in blocks]))
            for name, _ in blocks[0].named_parameters()
        }
        self._buffers = {
            name: _stacked([block.get_buffer(name) for block in blocks]) for name, _ in blocks[0].named_buffers()
        }

    @property
    def parameters(self) -> list[nn.Parameter]:
        """For an optimiser: each has the blocks as its first dimension."""
        return list(self._parameters.values())

    def __call__(self, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """The blocks' estimates, (blocks, batch, embedding_dim).

        Args:
            x: images, (batch, channels, height, width), the same for all.
            z: each block's own, (blocks, batch, embedding_dim).
            weight: W_embed, (num_classes, embedding_dim).
        """

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], z: Tensor) -> Tensor:
            estimate: Tensor = functional_call(self._structure, (parameters, buffers), (x, z, weight))
            return estimate

        self._structure.train(self._modules[0].training)
        run: Callable[..., Tensor] = torch.vmap(one, randomness="different")
        return run(self._parameters, self._buffers, z)


@torch.no_grad()
def _stacked(tensors: list[Tensor]) -> Tensor:
    """One tensor of all of them, which they become views of; each keeps its layout in memory."""
    first = tensors[0]
    stack = torch.empty_strided(
        (len(tensors), *first.shape), (first.numel(), *first.stride()), dtype=first.dtype, device=first.device
    )
    for view, tensor in zip(stack, tensors, strict=True):
        view.copy_(tensor)
        tensor.data = view
    return stack
