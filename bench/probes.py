"""What is counted of a method apart from its training: it follows from the shapes, and not from the machine."""

from __future__ import annotations

import contextlib

from torch import Generator

import methods
from bench.maker import Maker
from bench.meters.activations import ActivationMeter
from bench.meters.flops import count_flops
from bench.train import DeviceData, batches
from methods.method import Method
from results.schema import CellConfig

DEPTHS = (5, 10, 20)
"""Depths T at which activation bytes are probed."""


def probe_activation_bytes(method: Method, data: DeviceData, config: CellConfig) -> int:
    """Bytes held for backward at the peak of one training step on one full batch."""
    method.train()
    x, y = next(batches(data.train, config.batch_size, Generator().manual_seed(0)))
    x = data.images(x)
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(x, y)
    return meter.peak_bytes


def probe_depths(maker: Maker, data: DeviceData) -> dict[str, int]:
    """The same at other depths, for methods that have a depth."""
    if "T" not in maker.config.options:
        return {}
    probed: dict[str, int] = {}
    for depth in DEPTHS:
        other = maker.at_depth(depth)
        with contextlib.suppress(methods.MethodError):  # a method need not take every depth
            probed[str(depth)] = probe_activation_bytes(other.make(), data, other.config)
    return probed


def probe_flops(maker: Maker, data: DeviceData, config: CellConfig) -> dict[str, float | None]:
    """Operations an image of one training step and of one prediction; null where PyTorch cannot count them."""
    method = maker.make()
    x, y = next(batches(data.train, config.batch_size, Generator().manual_seed(0)))
    x = data.images(x)
    calls = {
        "train_flops_per_image": lambda: method.train().train_step(x, y),
        "predict_flops_per_image": lambda: method.eval().predict(x, Generator(y.device).manual_seed(0)),
    }
    counted: dict[str, float | None] = {}
    for field, call in calls.items():
        try:
            counted[field] = count_flops(call) / len(y)
        except Exception:  # a method's own operations may be none that the counter can follow; the cell is worth more
            counted[field] = None
    return counted
