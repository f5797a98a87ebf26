"""The conditions under which a cell ran: its configuration, tuning, data and environment, and what the machine did.

Here, too, is what every record on disk is made of: the schema's version, the base class and the kinds of numbers.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from results.past_names import MethodLabel

Version = Literal[1, 2, 3]
SCHEMA_VERSION: Literal[3] = 3
"""What is written. Also read: 1 (no diagnostics, no saved models) and 2 (no machine, energy, FLOPs or checksums)."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Seconds = NotNegative
Bytes = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
AtLeastOne = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]
Augment = Literal["none", "standard"]
"""How training images are augmented; `AugmentationRecord` has the details."""

TUNED = "tuned"
"""In the brackets of a method's label: with the hyperparameters that a search has found."""


def untuned(label: str) -> str:
    """The label of the same method without that word."""
    return label.replace(f"[{TUNED}]", "").replace(f",{TUNED}]", "]")


class Record(BaseModel):
    """Unknown fields are refused: a line with any is not one of ours, or comes from a newer version."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Spread(Record):
    """Median and interquartile range of repeated measurements."""

    median: Positive
    iqr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class TuningRecord(Record):
    """A search in which every method had the same number of trials, judged by validation accuracy alone."""

    study: str
    """The file that has all trials, as given to the search."""
    found_at: str
    """When its last trial ended, UTC, ISO 8601."""
    commit: str | None = None
    """The project's commit at which the winner was tried."""
    sampler: str
    """Optuna's class that proposed what to try."""
    trials: AtLeastOne
    """The budget: trials that ended, successfully or not. The first is the method at its defaults."""
    failed: Count = 0
    """How many of them ended without an accuracy."""
    space: Annotated[dict[str, str], Field(min_length=1)]
    """What was searched and where, in words: `lr` is `0.0001 to 0.01, log`."""
    seed: Count
    """Of every trial's training, and of the sampler."""
    epochs: AtLeastOne
    """Of every trial, like the fields from here to `augment`."""
    batch_size: AtLeastTwo
    train_size: AtLeastOne | None = None
    """Null: all that are left after the validation part is held out."""
    optimizer: str = "AdamW"
    amp: bool = False
    augment: Augment = "none"
    trial: Count
    """The winner's number, from 0: the earliest of those with the highest validation accuracy."""
    val_accuracy: Fraction
    """The winner's."""
    default_val_accuracy: Fraction | None = None
    """That of the defaults; null if their trial failed."""

    @property
    def budget(self) -> tuple[object, ...]:
        """What searches must have in common to be comparable."""
        shared = (self.trials, self.seed, self.sampler, self.epochs, self.batch_size, self.train_size)
        return (*shared, self.optimizer, self.amp, self.augment)

    def __str__(self) -> str:
        return f"trial {self.trial + 1} of {self.trials} in {self.study}, found {self.found_at}"


class Winner(Record):
    """The best hyperparameters that a search found for a method on a data set."""

    lr: Annotated[float, Field(gt=0.0)]
    weight_decay: NotNegative
    options: dict[str, Any] = Field(default_factory=dict)
    """The searched options of the method."""
    tuning: TuningRecord


class AugmentationRecord(Record):
    """Random changes of the training images, drawn again in each epoch; validation and test images never change."""

    shift: tuple[Count, Count]
    """Largest shift of an image in pixels, (up or down, left or right); what comes in from outside is 0."""
    flip: bool
    """Whether a random half of the images was mirrored left to right."""


class CellConfig(Record):
    """Everything that decides what a cell computes. Two cells that differ here are not the same experiment."""

    preset: str
    epochs: AtLeastOne
    batch_size: AtLeastTwo
    lr: Annotated[float, Field(gt=0.0)]
    weight_decay: NotNegative
    optimizer: str
    train_size: AtLeastOne | None
    """Training images asked for; null: all that are left after the validation part is held out."""
    split_seed: int
    """Seed of the train/validation(/test) split: the same for every seed and method of a run."""
    device: str
    """`cpu`, `cuda:0`, ...; `auto` is resolved."""
    threads: AtLeastOne
    options: dict[str, Any]
    """Every option of the method with its effective value, defaults included."""
    amp: bool = False
    """Automatic mixed precision: convolutions and matrix products of forward passes in bfloat16, in training,
    evaluation and diagnosis. Parameters, their gradients and the optimiser's state stay float32."""
    parallel: Literal["blocks"] | None = None
    """blocks: all ranks of a torchrun train the cell together (`CellResult.world_size`); threads are per rank."""
    eval_every: AtLeastOne = 1
    """Epochs from one evaluation to the next. The last epoch is always evaluated."""
    augment: Augment = "none"
    """Augmentation of the training images; `DataRecord.augmentation` has the details."""
    duplicates: bool = False
    """Whether any share of the test images may be among the training images, too."""
    clip: Annotated[float, Field(gt=0.0)] | None = None
    """Largest Euclidean norm of the gradients of one optimiser's parameters (of each block's, where blocks train
    apart), to which a larger one is scaled down before the step; null: none."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay of the exponential average of the weights after each step, with which the cell is evaluated; null: the
    weights themselves."""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate, after the warm-up: constant, or half a cosine from `lr` to 0 over the other steps."""
    warmup_steps: Count = 0
    """Steps over which the learning rate first goes up to `lr`."""
    tuning: TuningRecord | None = None
    """The search that found the learning rate, the weight decay and the options it names; null: defaults, or given."""


class DataRecord(Record):
    """The data that a cell used."""

    source: str
    """Where the data came from: `scikit-learn`, `IDX files (--data-dir)`, ..."""
    verified: bool | None
    """Whether the files match the published checksums; null: none are published for this form."""
    fingerprint: str
    """SHA-256 over the training, validation and test tensors and labels, in order, as used."""
    shape: tuple[int, int, int]
    """(channels, height, width) of one image."""
    num_classes: AtLeastTwo
    n_train: Count
    n_val: Count
    n_test: Count
    n_train_available: Count
    """Training images to choose from, before `train_size`, without the validation part."""
    partial: bool
    """Whether the files have less than the published data set."""
    mean: tuple[float, ...]
    """Per-channel mean of the training part, in [0, 1] pixel units, by which images are normalised."""
    std: tuple[float, ...]
    augmentation: AugmentationRecord | None = None
    """Null: none."""
    passed_over: tuple[tuple[str, Count], ...] = ()
    """Files or arrays of the data that were not used, by what they are: `((".heic files", 3), ("x_extra", 1))`."""
    test_duplicates: Count | None = None
    """Test images that are in the training or validation part too, pixel for pixel. Null: not counted."""
    val_duplicates: Count = 0
    """Images of the data's own validation part that are in the training part too, pixel for pixel."""
    several_frames: Count = 0
    """Pictures that are animated or have several pages, of which only the first is used."""
    blank: Count = 0
    """Of `n_train_available`, images that have one colour throughout."""
    smallest_class: Count | None = None
    """Of `n_train_available`, those of the class that has fewest. Null: not counted."""
    class_names: tuple[str, ...] = ()
    """In the order of the labels; empty: not recorded."""
    majority_share: Fraction | None = None
    """Share of the test images that are of the most frequent class there: what guessing it reaches. Null: not known."""


class Environment(Record):
    """Where a cell ran."""

    cpu: str
    cores: AtLeastOne
    """Logical cores that the process may use: the least of affinity, CPU quota and what there is."""
    memory_bytes: Bytes
    gpu: str | None
    gpu_driver: str | None
    platform: str
    python: str
    torch: str
    cuda: str | None
    commit: str | None
    """The project's git commit, with `-dirty` if the working tree had changes; null outside a checkout."""
    layers: Literal["fused", "compiled", "pytorch"] | None = None
    """How convolutions are pooled, rectified and dropped out. `fused`: by functions that were compiled on this machine
    and hold less for the backward pass, dropout in the same pass where it follows at once; `compiled`: by those of
    before, with dropout in a pass of its own, whose mask was held, too; `pytorch`: by PyTorch's operations, and so
    null, from before there was a choice."""
    instructions: str | None = None
    """Vector instructions that PyTorch uses, `AVX2` or `AVX512`: with others it rounds sums differently, and the same
    cell gives other digits. Null: not recorded."""
    bfloat16: bool | None = None
    """Whether the processor (or the card) has fast operations in bfloat16; null: not known."""
    package: str | None = None
    """Where there is no commit: version and the beginning of the SHA-256 over the files, `0.1.0 (files 3f9a...)`."""

    @property
    def processor(self) -> str:
        """The CPU with its vector instructions: kernels in virtual machines give several CPUs one name."""
        return f"{self.cpu}, {self.instructions}" if self.instructions else self.cpu


def processors(environments: Iterable[Environment]) -> set[str]:
    """Names of the processors; one whose instructions were not recorded is taken for another of its name."""
    environments = list(environments)
    known = {each.cpu for each in environments if each.instructions}
    return {each.processor for each in environments if each.instructions or each.cpu not in known}


class MachineRecord(Record):
    """What the machine did while the cell trained (evaluation excluded), monitored from the harness's own process.

    CPU times are differences of the kernel's counters between the ends of each stretch of training; clocks, loads and
    temperatures are sampled. Null: the machine does not report it, or, for CPU times, training took less than a second,
    which is too short for the kernel's ticks.
    """

    seconds: Seconds
    """Wall-clock time of the monitored training: `train_seconds`, as seen from outside."""
    samples: Count
    """How often clocks, loads and temperatures were sampled."""
    harness_cores: NotNegative | None = None
    """Mean number of cores used by the harness itself."""
    foreign_cores: NotNegative | None = None
    """Mean number of the process's cores used by anything but the cell and the harness."""
    steal_cores: NotNegative | None = None
    """Mean number of the process's cores that the hypervisor gave to other guests."""
    load: NotNegative | None = None
    """Mean of the system's one-minute load average, the cell included."""
    cpu_mhz: NotNegative | None = None
    """Mean clock of the CPU."""
    cpu_mhz_least: NotNegative | None = None
    gpu_mhz: NotNegative | None = None
    """Mean clock of the GPU's multiprocessors, by NVML."""
    gpu_mhz_least: NotNegative | None = None
    gpu_celsius_most: float | None = None
    gpu_busy: Fraction | None = None
    """Mean share of the time in which the GPU was busy, by NVML, with any process."""
    rss_series: list[tuple[Seconds, Bytes]] = Field(default_factory=list)
    """(seconds since the start of training, resident bytes of the cell's process), sampled, evaluation included."""


class Conditions(Protocol):
    """The part of a cell that says where and how it ran."""

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
    """The A/A run that it comes from."""
    created_at: str
    """UTC, ISO 8601."""
    dataset: str
    method: MethodLabel
    pairs: AtLeastTwo
    """Pairs of cells, each with the same seed and so the same work."""
    seconds: Seconds
    """Mean `train_seconds` of these cells."""
    threads: AtLeastOne
    device: str
    environment: Environment
    spread: dict[str, NotNegative]
    """By field of `CellResult`: root mean square of the logarithm of the ratio of a pair's two cells."""

    def covers(self, cells: Iterable[Conditions]) -> bool:
        """Whether it applies to all of these cells."""
        return all(self.is_of(cell.environment, cell.config.threads, cell.config.device) for cell in cells)

    def is_of(self, environment: Environment, threads: int, device: str) -> bool:
        """Whether it applies to cells that run there: same machine, threads, device and PyTorch."""
        same = ("cpu", "cores", "gpu", "torch")
        return (threads, device) == (self.threads, self.device) and all(
            getattr(environment, field) == getattr(self.environment, field) for field in same
        )
