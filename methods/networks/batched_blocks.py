"""Blocks of one structure as one batched computation: their parameters stacked, one call for all of them.

The blocks share nothing, so the sum of their losses has each block's own gradients, and an element-wise optimiser
(Adam, AdamW, SGD) updates the stack as one optimiser per block would. Many small operations become few large ones, and
what backward needs is held for all blocks at once.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call


class BatchedBlocks:
    """The blocks' parameters and buffers as stacked tensors, of which the blocks themselves become views.

    So inference, saving and counting still go through the blocks, while the stack is trained.
    """

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        """Stack the blocks: at least one, alike in structure, on one device."""
        # The structure alone: what it computes with is passed at each call.
        self._structure = copy.deepcopy(blocks[0]).to("meta")
        self._blocks = list(blocks)
        self._parameters = {
            name: nn.Parameter(_stacked([block.get_parameter(name) for block in blocks]))
            for name, _ in blocks[0].named_parameters()
        }
        self._buffers = {
            name: _stacked([block.get_buffer(name) for block in blocks]) for name, _ in blocks[0].named_buffers()
        }

    @property
    def parameters(self) -> list[nn.Parameter]:
        """For an optimiser: the first dimension of each is the blocks."""
        return list(self._parameters.values())

    def __call__(self, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        """The blocks' estimates, (blocks, batch, embedding_dim), from the images and W_embed, which all blocks get.

        Each block has its own z: (blocks, batch, embedding_dim).
        """

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], z: Tensor) -> Tensor:
            return functional_call(self._structure, (parameters, buffers), (x, z, weight))

        self._structure.train(self._blocks[0].training)
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
