"""PyTorch's settings for the whole process, which no method may change for the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "float32 matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
}
"""How to read and to set each."""


def read() -> dict[str, Any]:
    """Every setting as it is now."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def restore(before: Mapping[str, Any]) -> str:
    """Set what differs from `before` back to it.

    Returns:
        What differed, for people: `number of threads (2 to 3)`; nothing if nothing did.
    """
    changed = {name: (before[name], now) for name, now in read().items() if now != before[name]}
    for name, (old, _) in changed.items():
        _SETTINGS[name][1](old)
    return ", ".join(f"{name} ({old} to {new})" for name, (old, new) in changed.items())
