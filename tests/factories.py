"""Valid records with plausible numbers, for tests of whatever reads results.

Every value can be overridden by keyword. The numbers follow from (method, data set, seed) alone, so tests are stable.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.conditions import TuningRecord
from results.past_options import PAST
from results.schema import (
    BlockRecord,
    CalibrationRecord,
    CellConfig,
    CellResult,
    DataRecord,
    DiagnosticsRecord,
    Environment,
    EpochRecord,
    MachineRecord,
    PlannedCell,
    RunRecord,
    StepRecord,
)
from results.store import CELLS_FILE, create_run, encode

MIB = 2**20
TARGETS = (0.90, 0.95, 0.97, 0.98, 0.99)
RUN_ID = "20260301-100000"


@dataclass(frozen=True)
class Profile:
    """How a method behaves: where its accuracy ends, how fast it gets there, what an epoch and its memory cost."""

    final: float
    rate: float
    epoch_seconds: float
    rise_mib: float
    activation_mib: float
    activation_mib_per_block: float
    stack_parameters: int
    join_parameters: int


PROFILES = {
    "backprop": Profile(0.988, 1.1, 21.0, 310.0, 8.0, 11.5, 812_000, 13_300),
    "noprop": Profile(0.983, 0.7, 26.0, 150.0, 14.0, 0.0, 812_000, 13_310),
    "noprop[T=20]": Profile(0.985, 0.5, 51.0, 170.0, 14.0, 0.0, 1_624_000, 13_310),
    "forward": Profile(0.951, 0.4, 14.0, 120.0, 9.0, 0.0, 700_000, 9_000),
}


def make_config(**overrides: Any) -> CellConfig:
    values: dict[str, Any] = {
        "preset": "standard",
        "epochs": 5,
        "batch_size": 128,
        "lr": 1e-3,
        "weight_decay": 1e-3,
        "optimizer": "adamw",
        "train_size": None,
        "split_seed": 0,
        "device": "cpu",
        "threads": 2,
        "options": {"T": 10, "features": "flatten"},
    }
    return CellConfig(**(values | overrides))


def make_data(**overrides: Any) -> DataRecord:
    values: dict[str, Any] = {
        "source": "IDX files (--data-dir)",
        "verified": True,
        "fingerprint": "3f9a" * 16,
        "shape": (1, 28, 28),
        "num_classes": 10,
        "n_train": 55_000,
        "n_val": 5_000,
        "n_test": 10_000,
        "n_train_available": 55_000,
        "partial": False,
        "mean": (0.1307,),
        "std": (0.3081,),
    }
    return DataRecord(**(values | overrides))


def make_environment(**overrides: Any) -> Environment:
    values: dict[str, Any] = {
        "cpu": "Example CPU at 2.4 GHz",
        "cores": 8,
        "memory_bytes": 32 * 2**30,
        "gpu": None,
        "gpu_driver": None,
        "platform": "Linux-6.1-x86_64",
        "python": "3.12.4",
        "torch": "2.9.0",
        "cuda": None,
        "commit": "0123456789abcdef0123456789abcdef01234567",
    }
    return Environment(**(values | overrides))


def make_machine(**overrides: Any) -> MachineRecord:
    """A quiet machine."""
    values: dict[str, Any] = {
        "seconds": 100.0,
        "samples": 100,
        "harness_cores": 0.004,
        "foreign_cores": 0.01,
        "steal_cores": 0.0,
        "load": 2.1,
        "cpu_mhz": 2400.0,
        "cpu_mhz_least": 2300.0,
    }
    return MachineRecord(**(values | overrides))


def make_calibration(**overrides: Any) -> CalibrationRecord:
    """A calibration of the machine on which `make_cell`'s cells ran."""
    values: dict[str, Any] = {
        "run_id": "20260201-100000",
        "created_at": "2026-02-01T10:00:00Z",
        "dataset": "digits",
        "method": "backprop",
        "pairs": 10,
        "seconds": 5.0,
        "threads": 2,
        "device": "cpu",
        "environment": make_environment(),
        "spread": {"train_seconds": 0.01},
    }
    return CalibrationRecord(**(values | overrides))


def make_tuning(**overrides: Any) -> TuningRecord:
    """A search of 20 trials, of which the eighth was the best."""
    values: dict[str, Any] = {
        "study": "results/tuned/mnist/study.jsonl",
        "found_at": "2026-02-20T10:00:00Z",
        "commit": "0123456789ab",
        "sampler": "TPESampler",
        "trials": 20,
        "failed": 1,
        "space": {"lr": "0.0001 to 0.01, logarithmic", "T": "1 to 30"},
        "seed": 0,
        "epochs": 3,
        "batch_size": 128,
        "train_size": 5_000,
        "trial": 7,
        "val_accuracy": 0.91,
        "default_val_accuracy": 0.89,
    }
    return TuningRecord(**(values | overrides))


def make_cell(
    method: str = "backprop",
    dataset: str = "mnist",
    seed: int = 0,
    *,
    epochs: int = 5,
    diagnostics: bool = False,
    **overrides: Any,
) -> CellResult:
    """One finished cell; its scalars agree with its epochs unless overridden. `diagnostics`: in every epoch."""
    name = method.split("[")[0]
    profile = PROFILES.get(method) or PROFILES.get(name) or PROFILES["noprop"]
    chance = random.Random(f"{method} {dataset} {seed}")  # seeded by text: the same in every process
    records = _epochs(profile, epochs, chance, ceiling=0.62 if dataset.startswith("cifar") else 1.0)
    depth = _depth(method)
    if diagnostics:
        records = [
            record.model_copy(update={"diagnostics": make_diagnostics(method, seed, record.epoch)})
            for record in records
        ]
    train_seconds = sum(record.train_seconds for record in records)
    rise = int((profile.rise_mib + chance.gauss(0, 4)) * MIB)
    parameters = profile.stack_parameters + profile.join_parameters
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "dataset": dataset,
        "method": method,
        "method_name": name,
        "seed": seed,
        "status": "ok",
        "started_at": "2026-03-01T10:00:00Z",
        "wall_seconds": train_seconds + 19,
        "val_accuracy": records[-1].val_accuracy,
        "test_accuracy": records[-1].test_accuracy,
        "train_seconds": train_seconds,
        "eval_seconds": sum(record.eval_seconds for record in records),
        "data_seconds": 1.9,
        "images_per_second": 55_000 * epochs / train_seconds,
        "seconds_to": _seconds_to(records),
        "images_to": {
            target: None if seconds is None else 55_000 * sum(elapsed <= seconds for elapsed in _elapsed(records))
            for target, seconds in _seconds_to(records).items()
        },
        "train_flops_per_image": 6e6 * depth,
        "predict_flops_per_image": 2e6 * depth,
        "peak_rss_bytes": 520 * MIB + rise,
        "baseline_rss_bytes": 520 * MIB,
        "rss_rise_bytes": rise,
        "rss_source": "high-water mark, reset",
        "activation_bytes": _activations(profile, depth),
        "activation_bytes_by_T": {str(T): _activations(profile, T) for T in (2, 5, 10, 20)},
        "parameter_bytes": 4 * parameters,
        "optimizer_bytes": 8 * parameters,
        "parameters": parameters,
        "stack_parameters": profile.stack_parameters,
        "epoch_definition": "one pass over the training images in batches; every block is updated once a batch",
        "epochs": records,
        "config": make_config(epochs=epochs, options={"T": depth, "features": "flatten"}),
        "data": make_data(),
        "environment": make_environment(),
    }
    values |= overrides
    if "head_scale" in PAST.get(name, {}):  # as rows of today have it, also when they are read again
        options = {"head_scale": 10.0} | values["config"].options
        values["config"] = values["config"].model_copy(update={"options": options})
    return CellResult(**values)


def make_diagnostics(method: str = "noprop", seed: int = 0, epoch: int = 5, **overrides: Any) -> DiagnosticsRecord:
    """Blocks and steps of a method after an epoch: backprop has no blocks with a task, noprop-fm no weights."""
    chance = random.Random(f"{method} {seed} {epoch}")  # seeded by text, as in `make_cell`
    depth, name = _depth(method), method.split("[")[0]
    own = sum(map(ord, method)) % 7 / 7  # so that lines of methods do not lie on one another
    progress = 1 - 0.5 * math.exp(-0.6 * epoch)
    blocks = []
    for number in range(1, depth + 1):
        time = (number - 1) / depth
        blocks.append(
            BlockRecord(
                number=number,
                time=time,
                own_accuracy=1 - (1 - 0.97 * progress) * (1 - time) ** (1.5 + own),
                image_accuracy=0.97 * progress * (1 - (0.3 + 0.6 * own) * time**3) + 0.003 * chance.random(),
                denoising_error=(0.02 + 1 - progress) * 10 ** (-(3 + own) * time) * (1 + 0.2 * chance.random()),
                snr_weight=None if name == "noprop-fm" else 0.02 * 10 ** ((4.5 if name == "noprop" else 3.5) * time),
            )
        )
    slowness = 4.0 + 8 * own
    steps = [
        StepRecord(time=step / depth, accuracy=0.1 + (0.87 * progress + 0.003 * chance.random()) * (1 - math.exp(-z)))
        for step in range(depth + 1)
        for z in [slowness * step / depth]
    ]
    values: dict[str, Any] = {"images": 2_000, "blocks": [] if name == "backprop" else blocks, "steps": steps}
    return DiagnosticsRecord(**(values | overrides))


def make_failed_cell(
    method: str = "backprop", dataset: str = "mnist", seed: int = 0, *, error: str = "loss is not finite", **kw: Any
) -> CellResult:
    """A cell that stopped: nothing measured."""
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "dataset": dataset,
        "method": method,
        "method_name": method.split("[")[0],
        "seed": seed,
        "status": "error",
        "error": error,
        "traceback": f"Traceback (most recent call last):\n  ...\nRuntimeError: {error}",
        "started_at": "2026-03-01T10:00:00Z",
        "wall_seconds": 12.5,
        "config": make_config(options={"T": _depth(method), "features": "mean"}),
        "environment": make_environment(),
    }
    return CellResult(**(values | kw))


def make_cells(
    methods: Sequence[str] = ("backprop", "noprop"),
    datasets: Sequence[str] = ("mnist",),
    seeds: Iterable[int] = range(3),
    **overrides: Any,
) -> list[CellResult]:
    """Every combination, seeds outermost, as a run interleaves them."""
    return [make_cell(method, data, seed, **overrides) for seed in seeds for data in datasets for method in methods]


def make_run(cells: Iterable[CellResult], **overrides: Any) -> RunRecord:
    """The record of a run that planned these cells."""
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "created_at": "2026-03-01T10:00:00Z",
        "command": "python -m bench.run --methods backprop,noprop --datasets mnist --seeds 3",
        "cells": [
            PlannedCell(
                dataset=cell.dataset,
                method=cell.method,
                method_name=cell.method_name,
                seed=cell.seed,
                config=cell.config,
            )
            for cell in cells
        ],
    }
    return RunRecord(**(values | overrides))


def write_run(folder: Path, cells: Sequence[CellResult], record: RunRecord | None = None) -> Path:
    """A run on disk. All lines at once: a test needs no `fsync` a cell."""
    create_run(folder, record or make_run(cells))
    (folder / CELLS_FILE).write_bytes(b"".join(encode(cell) for cell in cells))
    return folder


def whole(report: Path) -> str:
    """The text of a report: its first page and the details."""
    details = report.with_name("details.md")
    return report.read_text(encoding="utf-8") + (details.read_text(encoding="utf-8") if details.exists() else "")


def _epochs(profile: Profile, epochs: int, chance: random.Random, *, ceiling: float) -> list[EpochRecord]:
    final = profile.final * ceiling + chance.gauss(0, 0.002)
    records = []
    for epoch in range(1, epochs + 1):
        accuracy = final - (final - 0.1) * math.exp(-1.6 - profile.rate * epoch)
        records.append(
            EpochRecord(
                epoch=epoch,
                train_loss=2.3 * math.exp(-0.4 * epoch),
                val_accuracy=min(1.0, max(0.0, accuracy + chance.gauss(0, 0.001))),
                test_accuracy=min(1.0, max(0.0, accuracy + chance.gauss(0, 0.001))),
                train_seconds=profile.epoch_seconds * (1 + abs(chance.gauss(0, 0.03))),
                eval_seconds=1.4,
            )
        )
    return records


def _seconds_to(records: Sequence[EpochRecord]) -> dict[str, float | None]:
    reached: dict[str, float | None] = {f"{target:.2f}": None for target in TARGETS}
    for record, elapsed in zip(records, _elapsed(records), strict=True):
        for target in TARGETS:
            if record.val_accuracy >= target and reached[f"{target:.2f}"] is None:
                reached[f"{target:.2f}"] = elapsed
    return reached


def _elapsed(records: Sequence[EpochRecord]) -> list[float]:
    return list(itertools.accumulate(record.train_seconds for record in records))


def _activations(profile: Profile, depth: int) -> int:
    return int((profile.activation_mib + profile.activation_mib_per_block * depth) * MIB)


def _depth(method: str) -> int:
    return int(method.split("T=")[1].rstrip("]").split(",")[0]) if "T=" in method else 10
