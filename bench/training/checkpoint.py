"""Checkpoints inside a cell: what training needs to go on after the process has ended, and give the same numbers.

A checkpoint is written between two epochs: the method's tensors, its optimisers, PyTorch's random numbers, and the
epochs so far. The order and the augmentation of images have streams of their own, which are drawn again up to there.
Two files: tensors (safetensors) and what is said of them (JSON, with checksums of both), which is written last, so that
a process that is killed while it writes leaves the checkpoint before. Of several ranks each has its own, and the one
before is kept until all have written theirs.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from bench.errors import describe
from bench.meters.base import Meter
from bench.meters.environment import hash_code
from bench.training.ranks import Ranks
from bench.training.updates import Updates
from methods.core.method import Method
from results.files import write_aside
from results.schema import EpochRecord, PlannedCell
from results.store import encode, split_checksum

COST = 0.01
"""Of training time, at most, is spent on writing checkpoints, unless their number is asked for."""
_FIRST_AFTER_SECONDS = 30.0
_CPU, _CUDA, _NORMS = "random.cpu", "random.cuda", "norms"
_CODE = ("bench/training", "methods")
"""Folders of the project whose code decides what training computes."""


class Progress(BaseModel):
    """How far a cell has come, and what was measured up to there."""

    model_config = ConfigDict(ser_json_inf_nan="strings")  # as in the record of an epoch

    version: Literal[3] = 3
    cell: PlannedCell
    fingerprint: str
    """Of the data."""
    torch: str
    """Its version: another may compute other numbers."""
    code: str
    """SHA-256 of the code that trains, and the package of a method of somebody else: the same holds for it."""
    epoch: int
    """The last one that is done."""
    images: int
    """Training images seen."""
    pending_seconds: float
    """Of training since the last evaluation."""
    exchanged: tuple[int, int] = (0, 0)
    """Bytes that this rank has sent, in training and for evaluations."""
    epochs: list[EpochRecord]
    variants: dict[str, list[EpochRecord]] = {}
    """The same of the cells that share the training, by their method."""
    measured: dict[str, Any]
    """Fields of the meters inside the cell, up to here."""
    wall_seconds: float
    """Of all processes so far, up to here."""
    instructions: str
    """Vector instructions of the process that wrote it, as in `Environment`."""
    machines: list[str]
    """Names of the machines of these processes."""
    groups: list[list[dict[str, float]]]
    """Numbers of every optimiser's parameter groups: its learning rate now, and so on."""
    method: dict[str, int]
    """`Method.training_state`."""
    tensors_sha256: str
    """Of the file of tensors."""


class Checkpoints:
    """Those of one cell on this rank, at `path` with the suffixes `.<epoch>.json` and `.<epoch>.safetensors`.

    The newest that all ranks have is kept, and no other.
    """

    def __init__(self, path: Path, every: int | None, ranks: Ranks, code: str) -> None:
        """Every so many epochs; None: as often as takes `COST` of training time. `code` is as in `Progress`."""
        own = path.name if ranks.size == 1 else f"{path.name}.rank{ranks.rank}of{ranks.size}"
        self._path, self._every, self._ranks = path.with_name(own), every, ranks
        self._seconds, self._cost, self._since = 0.0, COST * _FIRST_AFTER_SECONDS, 0
        self._code = code

    def is_due(self, seconds: float) -> bool:
        """Whether to write one now, after another epoch that trained for so long; on all ranks."""
        self._seconds += seconds
        self._since += 1
        is_due = self._seconds * COST >= self._cost if self._every is None else self._since >= self._every
        return self._ranks.as_lead(is_due)

    def write(self, method: Method, updates: Updates, **progress: Any) -> Exception | None:
        """Write one; `progress` has the fields of `Progress` that are told neither by the others nor this process.

        Returns:
            Why it cannot be written here, if it cannot; then the one before is kept, on all ranks.
        """
        start = time.perf_counter()
        description, file = self._files(progress["epoch"])
        problem: Exception | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            optimizers = list(method.optimizers())
            with write_aside(file) as aside:
                tensors = _tensors(method, optimizers, progress["cell"].config.device)
                save_file(tensors | {_NORMS: updates.norms}, aside)
            record = Progress(
                torch=torch.__version__,
                instructions=torch.backends.cpu.get_cpu_capability(),
                code=self._code,
                machines=[*progress.pop("machines"), platform.node()],
                groups=[[_numbers(group) for group in each.param_groups] for each in optimizers],
                method=method.training_state(),
                tensors_sha256=_sha256(file),
                **progress,
            )
            with write_aside(description) as aside:
                aside.write_bytes(encode(record))
        except Exception as error:  # a full disk, an optimiser whose state is no tensors
            problem = error
        self._cost, self._seconds, self._since = time.perf_counter() - start, 0.0, 0
        if self._ranks.least(problem is None):
            self._remove(keep=(description, file))
        else:
            for path in (description, file):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            problem = problem or CheckpointError("another rank cannot write its own")
        return problem

    def read(
        self, method: Method, updates: Updates, cell: PlannedCell, fingerprint: str, variants: Collection[str] = ()
    ) -> Progress | None:
        """Bring a method and updates that were just set up to the checkpoint's state, random numbers included.

        `variants` are the methods of the cells that share the training.

        Returns:
            What it says; None: there is none, and the method is as it was.

        Raises:
            CheckpointError: there is one that cannot be used, here or on another rank; the method is as it was.
        """
        epoch = self._ranks.least(self._newest())
        if not epoch:
            return None
        problem, found = None, None
        try:
            found = self._load(epoch, cell, fingerprint, variants)
        except CheckpointError as error:
            problem = error
        if not self._ranks.least(found is not None) or found is None:
            raise problem or CheckpointError("another rank's cannot be used")
        progress, tensors = found
        _restore(method, tensors, progress)
        updates.norms = tensors[_NORMS].clone()  # what is loaded is the file in memory, and goes
        return progress

    def _newest(self) -> int:
        """The epoch of the newest; 0: there is none."""
        middles = (path.stem.removeprefix(f"{self._path.name}.") for path in self._path.parent.glob("*.json"))
        return max((int(middle) for middle in middles if middle.isdecimal()), default=0)

    def _load(
        self, epoch: int, cell: PlannedCell, fingerprint: str, variants: Collection[str]
    ) -> tuple[Progress, dict[str, Tensor]]:
        """One that fits the cell, the data and the code.

        Raises:
            CheckpointError: it does not, or cannot be read.
        """
        description, file = self._files(epoch)
        try:
            body, is_unchanged = split_checksum(description.read_bytes())
            if is_unchanged is not True:
                raise CheckpointError("its description does not match its checksum")
            progress = Progress.model_validate_json(body)
            for what, ours, theirs in (
                ("another cell", (cell, epoch), (progress.cell, progress.epoch)),
                ("other variants", set(variants), set(progress.variants)),
                ("other data", fingerprint, progress.fingerprint),
                ("another version of PyTorch", torch.__version__, progress.torch),
                ("another version of the code", self._code, progress.code),
            ):
                if ours != theirs:
                    raise CheckpointError(f"it is of {what}")
            if _sha256(file) != progress.tensors_sha256:
                raise CheckpointError("its tensors do not match their checksum")
            return progress, load_file(file)
        except ValidationError:
            raise CheckpointError("it is of another version of the code") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"it cannot be read: {describe(error)}") from None

    def _remove(self, keep: Collection[Path]) -> None:
        """Remove what other epochs and killed processes have left."""
        for path in self._path.parent.glob(f"{self._path.name}.*"):
            if path not in keep:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self, epoch: int) -> tuple[Path, Path]:
        """The description of an epoch's and its tensors."""
        name = f"{self._path.name}.{epoch}"
        return self._path.with_name(f"{name}.json"), self._path.with_name(f"{name}.safetensors")


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why in a clause."""


def merge_measured(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Fields of the meters over several stretches: the larger size, the rise over the first baseline, other sums."""
    merged = {name: _together(name, before.get(name), value) for name, value in now.items()}
    if (baseline := before.get("baseline_rss_bytes")) is not None:
        merged["baseline_rss_bytes"] = baseline
        merged["rss_rise_bytes"] = max(0, merged["peak_rss_bytes"] - baseline)
    return merged


def stop_and_read(meters: Sequence[Meter], before: dict[str, Any]) -> dict[str, Any]:
    """End a stretch of the meters, and what they and those before have measured."""
    for meter in reversed(meters):
        meter.stop()
    return merge_measured(before, {name: value for meter in meters for name, value in meter.fields().items()})


def _together(name: str, a: Any, b: Any) -> Any:
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        return b
    return max(a, b) if name.endswith("_bytes") else a + b


def _tensors(method: Method, optimizers: Sequence[Optimizer], device: str) -> dict[str, Tensor]:
    """Everything by name, contiguous and on the CPU."""
    found = {f"method.{name}": value for name, value in method.state_dict().items()}
    for k, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{k}.{index}.{name}": value for name, value in state.items()}
    found[_CPU] = torch.get_rng_state()
    if torch.device(device).type == "cuda":
        found[_CUDA] = torch.cuda.get_rng_state(device)
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
                    name: torch.empty_like(p if value.shape == p.shape else value, device=p.device).copy_(value)
                    for name, value in state.items()
                }
    method.set_training_state(progress.method)
    torch.set_rng_state(tensors[_CPU])
    if _CUDA in tensors:
        torch.cuda.set_rng_state(tensors[_CUDA], progress.cell.config.device)


def _numbers(group: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in group.items() if type(value) in (int, float)}


def hash_training(method: type[Method]) -> str:
    """SHA-256 of the code that trains; a plug-in's is in modules of its own.

    For the start of a process: its files may be others later, and it still trains with those that it has read.
    """
    digest = hashlib.sha256(hash_code(_CODE).encode())
    for kind in method.__mro__:
        if file := getattr(sys.modules.get(kind.__module__), "__file__", None):
            digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
