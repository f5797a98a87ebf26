"""How long a run will take and what memory it needs, from a few steps of each method on the run's own data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator

from bench.planning.sharing import group_by_training
from bench.training.build import MethodBuilder, load_data
from bench.training.loop import DeviceData, batch_count, first_batch, synchronize
from bench.training.probes import probe_activation_bytes
from results.schema import PlannedCell

_STEPS = 2
_ADAM_COPIES = 4
"""Of each parameter: itself, its gradient, two moments."""


def estimate(cells: Sequence[PlannedCell], data_dir: Path | None, jobs: int) -> str:
    """`15 cells to go, about 3.2 hours, up to 620 MiB of tensors a cell`, or that all is done."""
    trained = [group[0] for group in group_by_training(cells)]
    if not trained:
        return "all cells are done"
    seconds, memory = 0.0, 0
    for first in {(cell.dataset, cell.method): cell for cell in trained}.values():
        each, needed = _measure(first, data_dir)
        alike = sum((cell.dataset, cell.method) == (first.dataset, first.method) for cell in trained)
        seconds += alike * each
        memory = max(memory, needed)
    hours = seconds / jobs / 3600
    return f"{len(cells)} cells to go, about {hours:.1f} hours, up to {memory / 2**20:,.0f} MiB of tensors in a cell"


def _measure(cell: PlannedCell, data_dir: Path | None) -> tuple[float, int]:
    """Seconds of training and evaluation, and bytes of images, parameters, optimiser and activations."""
    config = cell.config
    torch.set_num_threads(config.threads)
    data, record = load_data(cell, data_dir)
    builder = MethodBuilder.on(data, record, cell.method_name, config, cell.seed)
    method, (x, y) = builder.make(), first_batch(data, config.batch_size)
    method.train()
    method.train_step(x, y)
    device = torch.device(config.device)
    synchronize(device)
    start = time.perf_counter()
    for _ in range(_STEPS):
        method.train_step(x, y)
    synchronize(device)
    step = (time.perf_counter() - start) / _STEPS
    method.eval()
    start = time.perf_counter()
    method.predict(x, Generator(device).manual_seed(0))
    synchronize(device)
    predicted = time.perf_counter() - start
    steps = config.epochs * method.num_passes * batch_count(len(data.train), config.batch_size)
    looks = config.epochs // config.eval_every * -(-(len(data.val) + len(data.test)) // config.batch_size)
    weights = _ADAM_COPIES * sum(parameter.nbytes for parameter in method.parameters())
    memory = _bytes(data) + weights + probe_activation_bytes(builder.make(), data, config)
    return steps * step + looks * predicted, memory


def _bytes(data: DeviceData) -> int:
    return sum(part.x.nbytes + part.y.nbytes for part in (data.train, data.val, data.test))
