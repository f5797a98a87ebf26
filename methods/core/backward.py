"""The backward pass, at the precision that each operation of the forward pass had."""

from __future__ import annotations

import torch
from torch import Tensor


def backward(loss: Tensor) -> None:
    """Add the loss's gradients to those of the parameters; automatic mixed precision is for the forward pass alone.

    Args:
        loss: a scalar with its graph.
    """
    # What is computed again on the way back needs casts with a graph, and a block's are not to be kept any longer.
    torch.clear_autocast_cache()
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()  # type: ignore[no-untyped-call]
