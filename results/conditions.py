"""Under what conditions a cell ran: its configuration, data, environment, and what the machine did meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from results.record import SCHEMA_VERSION, Augment, Bytes, Count, Fraction, Record, Seconds, Version
from results.tuning import TuningRecord


class AugmentationRecord(Record):
    """How training images were changed at random, anew in each epoch; validation and test images never are."""

    shift: tuple[Count, Count]
    """Most pixels by which an image was shifted, up or down and left or right; what came in from outside was 0."""
    flip: bool
    """Whether half of the images, drawn at random, were mirrored left to right."""


class CellConfig(Record):
    """Everything that decides what a cell computes. Two cells that differ here are not the same experiment."""

    preset: str
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    lr: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    optimizer: str
    train_size: Annotated[int, Field(ge=1)] | None
    """Training images asked for; null means all that are left after the validation part is held out."""
    split_seed: int
    """Seed of the train/validation(/test) split: the same for every seed and method of a run."""
    device: str
    """`cpu`, `cuda:0`, ...: what `auto` resolved to."""
    threads: Annotated[int, Field(ge=1)]
    options: dict[str, Any]
    """Every option of the method with its effective value, defaults included."""
    amp: bool = False
    """Automatic mixed precision: convolutions and matrix products of the forward pass in bfloat16, in training,
    evaluation and diagnosis alike. Parameters, their gradients and the optimiser's state are float32."""
    parallel: Literal["blocks"] | None = None
    """blocks: all ranks of a torchrun train the cell together (`CellResult.world_size`); threads are each rank's."""
    eval_every: Annotated[int, Field(ge=1)] = 1
    """Epochs from one evaluation to the next. The last epoch is always evaluated."""
    augment: Augment = "none"
    """Augmentation of the training images; `DataRecord.augmentation` says what it came to."""
    tuning: TuningRecord | None = None
    """The search that found the learning rate, the weight decay and the options it names; null: they are defaults, or
    were given."""


class DataRecord(Record):
    """The data that a cell really used."""

    source: str
    """Where the data came from, for people: `scikit-learn`, `IDX files (--data-dir)`, ..."""
    verified: bool | None
    """True: the files match the published checksums; False: they do not; null: none are published for this form."""
    fingerprint: str
    """SHA-256 over the training, validation and test tensors and labels, in order, as used."""
    shape: tuple[int, int, int]
    """(channels, height, width) of one image."""
    num_classes: Annotated[int, Field(ge=2)]
    n_train: Count
    n_val: Count
    n_test: Count
    n_train_available: Count
    """Training images there were to choose from, before `train_size`, validation part excluded."""
    partial: bool
    """True where the files hold less than the published data set."""
    mean: tuple[float, ...]
    """Per-channel mean of the training part, in [0, 1] pixel units: what images are normalised with."""
    std: tuple[float, ...]
    augmentation: AugmentationRecord | None = None
    """Null: training images were used as they are."""


class Environment(Record):
    """Where a cell ran."""

    cpu: str
    cores: Annotated[int, Field(ge=1)]
    """Logical cores that the process may use."""
    memory_bytes: Bytes
    gpu: str | None
    gpu_driver: str | None
    platform: str
    python: str
    torch: str
    cuda: str | None
    commit: str | None
    """The project's git commit, with `-dirty` where the working tree had changes; null outside a checkout."""


class MachineRecord(Record):
    """What the machine did while the cell trained, watched by the harness from its own process.

    Evaluation is not in it, as it is not in `train_seconds`. CPU times are differences of the kernel's counters between
    the ends of each stretch of training; clocks, loads and temperatures are sampled. Null where the machine does not
    tell; CPU times also where training took less than a second, which is too short for the kernel's ticks.
    """

    seconds: Seconds
    """Wall clock of the training that was watched: `train_seconds`, as seen from outside."""
    samples: Count
    """How often clocks, loads and temperatures were looked at."""
    harness_cores: Annotated[float, Field(ge=0.0)] | None = None
    """Mean number of cores that the harness itself kept busy."""
    foreign_cores: Annotated[float, Field(ge=0.0)] | None = None
    """Mean number of the process's cores kept busy by anything that is neither the cell nor the harness."""
    steal_cores: Annotated[float, Field(ge=0.0)] | None = None
    """Mean number of the process's cores that the hypervisor gave to other guests."""
    load: Annotated[float, Field(ge=0.0)] | None = None
    """Mean of the system's one-minute load average; the cell itself is in it."""
    cpu_mhz: Annotated[float, Field(ge=0.0)] | None = None
    """Mean clock of the CPU."""
    cpu_mhz_least: Annotated[float, Field(ge=0.0)] | None = None
    gpu_mhz: Annotated[float, Field(ge=0.0)] | None = None
    """Mean clock of the card's multiprocessors, by NVML."""
    gpu_mhz_least: Annotated[float, Field(ge=0.0)] | None = None
    gpu_celsius_most: float | None = None
    gpu_busy: Fraction | None = None
    """Mean share of the time in which the card was busy, by NVML, whoever kept it so."""
    rss_series: list[tuple[Seconds, Bytes]] = Field(default_factory=list)
    """(seconds since the start of training, resident bytes of the cell's process): sampled, evaluation in it."""


class Conditions(Protocol):
    """What of a cell says where and how it ran."""

    @property
    def config(self) -> CellConfig:
        """Its configuration."""

    @property
    def environment(self) -> Environment:
        """Its machine and versions."""


class CalibrationRecord(Record):
    """`calibration.json`: how much a method differs from itself on one machine (A/A)."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    """The run that showed it."""
    created_at: str
    """UTC, ISO 8601."""
    dataset: str
    method: str
    pairs: Annotated[int, Field(ge=2)]
    """Pairs of cells, each pair with the same seed and so with the same work."""
    seconds: Seconds
    """Mean `train_seconds` of these cells."""
    threads: Annotated[int, Field(ge=1)]
    device: str
    environment: Environment
    spread: dict[str, Annotated[float, Field(ge=0.0)]]
    """By field of `CellResult`: root mean square of the logarithm of the ratio of the two cells of a pair."""

    def covers(self, cells: Iterable[Conditions]) -> bool:
        """Whether all of these cells ran under its conditions."""
        return all(self.is_of(cell.environment, cell.config.threads, cell.config.device) for cell in cells)

    def is_of(self, environment: Environment, threads: int, device: str) -> bool:
        """Whether it says something of cells that run there: same machine, threads, device and PyTorch."""
        same = ("cpu", "cores", "gpu", "torch")
        return (threads, device) == (self.threads, self.device) and all(
            getattr(environment, field) == getattr(self.environment, field) for field in same
        )
