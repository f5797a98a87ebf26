"""What is counted on one full batch, on fresh models, when the measured one is gone."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator

import methods
from bench.errors import describe
from bench.meters.activations import ActivationMeter
from bench.meters.flops import FlopMeter
from bench.training.build import MethodBuilder
from bench.training.loop import DeviceData, first_batch
from methods.core.method import Method
from results.schema import CellConfig

DEPTHS = (5, 10, 20)
"""Depths T at which activation bytes are probed."""
AT_A_TIME = ("concurrent", "together")
"""Executions that hold the activations of several parts."""


def probe_activation_bytes(method: Method, data: DeviceData, config: CellConfig) -> int:
    """Bytes held for backward at the peak of one training step on one full batch."""
    method.train()
    x, y = first_batch(data, config.batch_size)
    with ActivationMeter(method.parameters(), method.buffers()) as meter:
        method.train_step(x, y)
    return meter.peak_bytes


def probe_activation_bytes_in_turn(builder: MethodBuilder, data: DeviceData, execution: str | None) -> int | None:
    """The same if parts are trained in turn; None: a method with this execution trains none at a time."""
    if execution not in AT_A_TIME:
        return None
    in_turn = builder.with_option("execution", "in_turn")
    return probe_activation_bytes(in_turn.make(), data, in_turn.config)


def probe_depths(builder: MethodBuilder, data: DeviceData, own: int) -> dict[str, int]:
    """The same at several depths, for methods that have a depth; `own` is that at the configuration's."""
    if "T" not in builder.config.options:
        return {}
    probed: dict[str, int] = {}
    for depth in DEPTHS:
        if depth == builder.config.options["T"]:
            probed[str(depth)] = own
            continue
        other = builder.with_option("T", depth)
        with contextlib.suppress(methods.MethodError):  # a method need not take every depth
            probed[str(depth)] = probe_activation_bytes(other.make(), data, other.config)
    return probed


def probe_flops(method: Method, data: DeviceData, config: CellConfig, warn: Callable[[str], None]) -> dict[str, Any]:
    """Operations of one training step on a full batch, and of predicting the same images: fields of `CellResult`.

    `warn` is told of anything that cannot be counted: the cell must not be lost for it.
    """
    x, y = first_batch(data, config.batch_size)
    method.train()
    found = _per_image("train_flops_per_image", "training", len(y), warn, lambda: method.train_step(x, y))
    return found | probe_prediction(method, data, config, warn)


@torch.no_grad()
def probe_prediction(
    method: Method, data: DeviceData, config: CellConfig, warn: Callable[[str], None]
) -> dict[str, Any]:
    """The part of `probe_flops` that is about prediction."""
    x, y = first_batch(data, config.batch_size)
    generator = Generator(y.device).manual_seed(0)
    method.eval()
    return _per_image("predict_flops_per_image", "prediction", len(y), warn, lambda: method.predict(x, generator))


def _per_image(
    field: str, of_what: str, images: int, warn: Callable[[str], None], run: Callable[[], object]
) -> dict[str, Any]:
    meter = FlopMeter(field, images)
    try:
        with meter:
            run()
    except Exception as error:  # a method may do what no dispatch mode can follow
        warn(f"the FLOPs of {of_what} are not counted: {describe(error)}")
        return {field: None}
    return meter.fields()
