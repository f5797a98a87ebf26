"""Predictions from several draws of noise, averaged."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def average_predictions(draw: Callable[[], Tensor], samples: int) -> Tensor:
    """Log of the mean over draws of the class probabilities; one draw's logits are returned as they are.

    Args:
        draw: gives the logits of one draw, (batch, num_classes).
        samples: how many draws.
    """
    if samples == 1:
        return draw()
    log_probabilities = torch.stack([draw().log_softmax(dim=1) for _ in range(samples)])
    return log_probabilities.logsumexp(dim=0) - math.log(samples)
