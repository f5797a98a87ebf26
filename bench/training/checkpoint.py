"""Checkpoints inside a cell: what training needs to go on after the process has ended, and give the same numbers.

A checkpoint is written between two epochs: the method's tensors, its optimisers, PyTorch's random numbers, and the
epochs so far. The order and the augmentation of images have streams of their own, which are drawn again up to there.
Two files: tensors (safetensors) and what is said of them (JSON, with their checksum), which names the first and is
written last, so that a process that is killed while it writes leaves the checkpoint before.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from bench.meters.base import Meter
from methods.core.method import Method
from results.files import write_aside
from results.schema import EpochRecord, PlannedCell

COST = 0.01
"""Of training time, at most, is spent on writing checkpoints, unless their number is asked for."""
_FIRST_AFTER_SECONDS = 30.0
_CPU, _CUDA = "random.cpu", "random.cuda"


class Progress(BaseModel):
    """How far a cell has come, and what was measured up to there."""

    model_config = ConfigDict(ser_json_inf_nan="strings")  # as in the record of an epoch

    version: Literal[1] = 1
    cell: PlannedCell
    fingerprint: str
    """Of the data."""
    torch: str
    """Its version: another may compute other numbers."""
    epoch: int
    """The last one that is done."""
    images: int
    """Training images seen."""
    epochs: list[EpochRecord]
    variants: dict[str, list[EpochRecord]] = {}
    """The same of the cells that share the training, by their method."""
    measured: dict[str, Any]
    """Fields of the meters inside the cell, up to here."""
    wall_seconds: float
    """Of all processes so far, up to here."""
    machines: list[str]
    """Names of the machines of these processes."""
    groups: list[list[dict[str, float]]]
    """Numbers of every optimiser's parameter groups: its learning rate now, and so on."""
    method: dict[str, int]
    """`Method.training_state`."""
    tensors: str
    """Name of the file of tensors."""
    sha256: str
    """Of that file."""


class Checkpoints:
    """Those of one cell, at `path` with the suffixes `.json` and `.<epoch>.safetensors`; the newest alone is kept."""

    def __init__(self, path: Path, every: int | None) -> None:
        """Every so many epochs; None: as often as takes `COST` of training time."""
        self._path, self._every = path, every
        self._seconds, self._cost, self._since = 0.0, COST * _FIRST_AFTER_SECONDS, 0

    def is_due(self, seconds: float) -> bool:
        """Whether to write one now, after another epoch that was evaluated and trained for so long."""
        self._seconds += seconds
        self._since += 1
        if self._every is not None:
            return self._since >= self._every
        return self._seconds * COST >= self._cost

    def write(self, method: Method, **progress: Any) -> None:
        """Write one; `progress` has the fields of `Progress` that are not told by the method and this process.

        Raises:
            OSError: it cannot be written; the one before is kept.
        """
        start = time.perf_counter()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.with_name(f"{self._path.name}.{progress['epoch']}.safetensors")
        optimizers = list(method.optimizers())
        try:
            with write_aside(file) as aside:
                save_file(_tensors(method, optimizers), aside)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        record = Progress(
            torch=torch.__version__,
            machines=[*progress.pop("machines"), platform.node()],
            groups=[[_numbers(group) for group in each.param_groups] for each in optimizers],
            method=method.training_state(),
            tensors=file.name,
            sha256=_sha256(file),
            **progress,
        )
        with write_aside(self._json) as aside:
            aside.write_text(record.model_dump_json(), encoding="utf-8")
        for older in self._path.parent.glob(f"{self._path.name}.*.safetensors"):
            if older != file:
                older.unlink(missing_ok=True)
        self._cost, self._seconds, self._since = time.perf_counter() - start, 0.0, 0

    def read(
        self, method: Method, cell: PlannedCell, fingerprint: str, variants: Collection[str] = ()
    ) -> Progress | None:
        """Bring a method that was just set up to the checkpoint's state, random numbers included.

        `variants` are the methods of the cells that share the training.

        Returns:
            What it says; None: there is none, and the method is as it was.

        Raises:
            CheckpointError: there is one that cannot be used; the method is as it was.
        """
        try:
            text = self._json.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            progress = Progress.model_validate_json(text)
            file = self._path.with_name(progress.tensors)
            if _sha256(file) != progress.sha256:
                raise CheckpointError("its tensors do not match their checksum")
            tensors = load_file(file)
        except ValidationError:
            raise CheckpointError("its description is damaged or of another version") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"its tensors cannot be read: {error}") from None
        for what, ours, theirs in (
            ("another cell", cell, progress.cell),
            ("other variants", set(variants), set(progress.variants)),
            ("other data", fingerprint, progress.fingerprint),
            ("another version of PyTorch", torch.__version__, progress.torch),
        ):
            if ours != theirs:
                raise CheckpointError(f"it is of {what}")
        _restore(method, tensors, progress)
        return progress

    @property
    def _json(self) -> Path:
        return self._path.with_name(f"{self._path.name}.json")


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why in a clause."""


def merge_measured(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Fields of the meters over several stretches: the larger peak, and the rise over the first baseline."""
    merged = {name: _larger(before.get(name), value) for name, value in now.items()}
    if (baseline := before.get("baseline_rss_bytes")) is not None:
        merged["baseline_rss_bytes"] = baseline
        merged["rss_rise_bytes"] = max(0, merged["peak_rss_bytes"] - baseline)
    return merged


def stop_and_read(meters: Sequence[Meter], before: dict[str, Any]) -> dict[str, Any]:
    """End a stretch of the meters, and what they and those before have measured."""
    for meter in reversed(meters):
        meter.stop()
    return merge_measured(before, {name: value for meter in meters for name, value in meter.fields().items()})


def _larger(a: Any, b: Any) -> Any:
    return max(a, b) if isinstance(a, int | float) and isinstance(b, int | float) else b


def _tensors(method: Method, optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Everything by name, contiguous and on the CPU."""
    found = {f"method.{name}": value for name, value in method.state_dict().items()}
    for k, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{k}.{index}.{name}": value for name, value in state.items()}
    found[_CPU] = torch.get_rng_state()
    if torch.cuda.is_available():
        found[_CUDA] = torch.cuda.get_rng_state()
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)  # shared memory cannot be saved
        for name, value in found.items()
    }


def _restore(method: Method, tensors: dict[str, Tensor], progress: Progress) -> None:
    method.load_state_dict(
        {name.removeprefix("method."): value for name, value in tensors.items() if name.startswith("method.")}
    )
    for k, (optimizer, groups) in enumerate(zip(method.optimizers(), progress.groups, strict=True)):
        optimizer.state_dict()  # an offloaded state returns
        for group, numbers in zip(optimizer.param_groups, groups, strict=True):
            group.update(numbers)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, p in enumerate(parameters):
            prefix = f"optimizer.{k}.{index}."
            state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            if state:
                # In the parameter's own memory format: fused optimisers go through both side by side.
                optimizer.state[p] = {
                    name: (torch.empty_like(p) if value.shape == p.shape else value.to(p.device)).copy_(value)
                    for name, value in state.items()
                }
    method.set_training_state(progress.method)
    torch.set_rng_state(tensors[_CPU])
    if _CUDA in tensors:
        torch.cuda.set_rng_state(tensors[_CUDA])


def _numbers(group: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in group.items() if type(value) in (int, float)}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
