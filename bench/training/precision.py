"""Automatic mixed precision around everything that the harness asks of a method."""

from __future__ import annotations

import torch

from methods.core.method import Method

_CALLS = ("train_step", "loss", "predict", "diagnose")
"""`loss` is called by itself where a method is replicated."""


def use_mixed_precision(method: Method, device: torch.device) -> None:
    """From now on let the method's forward passes compute in bfloat16 what PyTorch holds to be safe in it.

    bfloat16 has the range of float32, so that gradients need no scaling. `methods.core.end_to_end` keeps it from the
    backward pass.
    """
    for name in _CALLS:
        if hasattr(method, name):
            call = torch.autocast(device.type, dtype=torch.bfloat16)(getattr(method, name))
            setattr(method, name, call)
