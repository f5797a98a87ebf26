"""How long a run will take and what memory it needs, from a few steps of each method on the run's own data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Generator

from bench.planning.sharing import group_by_training
from bench.training.build import MethodBuilder, load_data
from bench.training.loop import DeviceData, batch_count, first_batch, synchronize
from bench.training.probes import probe_activation_bytes
from results.conditions import DataRecord
from results.schema import PlannedCell

_STEPS = 2
_ADAM_COPIES = 4
"""Of each parameter: itself, its gradient, two moments."""


def estimate(cells: Sequence[PlannedCell], data_dir: Path | None, jobs: int) -> str:
    """`15 cells to go, about 3.2 hours, up to 620 MiB of tensors in a cell`, or that all is done."""
    seconds, memory = 0.0, 0
    known: dict[tuple[str, str], tuple[float, int]] = {}
    loaded: dict[str, tuple[DeviceData, DataRecord]] = {}
    for cell, *variants in group_by_training(cells):
        torch.set_num_threads(cell.config.threads)
        if cell.dataset not in loaded:
            loaded = {cell.dataset: load_data(cell, data_dir)}
        kind = cell.dataset, cell.method
        if kind not in known:
            known[kind] = _measure(cell, *loaded[cell.dataset], forms=1 + len(variants))
        seconds += known[kind][0]
        memory = max(memory, known[kind][1])
    if not known:
        return "all cells are done"
    hours = seconds / jobs / 3600
    return f"{len(cells)} cells to go, about {hours:.1f} hours, up to {memory / 2**20:,.0f} MiB of tensors in a cell"


def _measure(cell: PlannedCell, data: DeviceData, record: DataRecord, *, forms: int) -> tuple[float, int]:
    """A cell that is evaluated in so many forms of inference.

    Returns:
        Seconds of training and evaluation; bytes of images, parameters, optimiser and activations.
    """
    config = cell.config
    device = torch.device(config.device)
    builder = MethodBuilder.on(data, record, cell.method_name, config, cell.seed)
    method, (x, y) = builder.make(), first_batch(data, config.batch_size)
    method.train()
    method.train_step(x, y)  # libraries and the optimiser's state are set up
    step = _time(device, lambda: [method.train_step(x, y) for _ in range(_STEPS)]) / _STEPS
    method.eval()
    predicted = _time(device, lambda: method.predict(x, Generator(device).manual_seed(0)))
    steps = config.epochs * method.num_passes * batch_count(len(data.train), config.batch_size)
    evaluations = -(-config.epochs // config.eval_every) * forms
    batches = -(-(len(data.val) + len(data.test)) // config.batch_size)
    images = sum(part.x.nbytes + part.y.nbytes for part in (data.train, data.val, data.test))
    weights = _ADAM_COPIES * sum(parameter.nbytes for parameter in method.parameters())
    memory = images + weights + probe_activation_bytes(builder.make(), data, config)
    return steps * step + evaluations * batches * predicted, memory


def _time(device: torch.device, run: Callable[[], object]) -> float:
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start
