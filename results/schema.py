"""What one finished cell and one run say: the versioned, validated form of every results file.

A *cell* is one (data set, method, seed). A cell is one JSON line in `cells.jsonl`; the run it belongs to is
described once, in `run.json`. Scalars that a table needs are flat top-level fields, so that
`pandas.read_json("cells.jsonl", lines=True)` gives one usable row a cell.

Units are in the names: `_seconds` (wall clock), `_bytes`. Accuracies are fractions in [0, 1]. A value that could
not be had on the machine (GPU memory on a CPU run) or that a failed cell never reached is null, never a guess.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from results.conditions import (
    SCHEMA_VERSION,
    AtLeastOne,
    AugmentationRecord,
    Bytes,
    CalibrationRecord,
    CellConfig,
    Count,
    DataRecord,
    Environment,
    Fraction,
    MachineRecord,
    NotNegative,
    Record,
    Seconds,
    Version,
)

__all__ = [
    "SCHEMA_VERSION",
    "AugmentationRecord",
    "BlockRecord",
    "CalibrationRecord",
    "CellConfig",
    "CellResult",
    "DataRecord",
    "DiagnosticsRecord",
    "Environment",
    "EpochRecord",
    "LauncherName",
    "MachineRecord",
    "PlannedCell",
    "RunRecord",
    "StepRecord",
    "Version",
    "name_of",
]

Status = Literal["ok", "error", "killed"]
LauncherName = Literal["local", "slurm", "ray"]
"""What starts a cell's process: the command itself on its own machine, or an engine on machines that it chooses."""


class BlockRecord(Record):
    """What one block has learned, on validation images; for a method in continuous time, one time of its network."""

    number: AtLeastOne
    """Block t of a stack, from 1; otherwise the position in the list of times."""
    time: Fraction
    """When the block's input is: 0 is pure noise, 1 the end of inference. Block t of T has (t - 1) / T."""
    own_accuracy: Fraction
    """Class of its estimate when given what it is trained on: the image and the true label's embedding at the block's
    noise level. Late blocks see nearly the label itself."""
    image_accuracy: Fraction
    """The same with pure noise in place of the noised label: what the block reads from the image alone."""
    denoising_error: NotNegative
    """Mean |u_hat - u|^2 on its own task, divided by the mean |u|^2: 0 is perfect, 1 no better than answering zero."""
    snr_weight: NotNegative | None
    """Weight of the block's loss: SNR(t) - SNR(t-1), or SNR'(t) in continuous time; null where the loss has none."""


class StepRecord(Record):
    """Accuracy on validation images if inference stopped at a time: 0 is the noise that it starts from, 1 its end."""

    time: Fraction
    accuracy: Fraction


class DiagnosticsRecord(Record):
    """What the blocks do, looked at after an epoch on (at most a fixed number of) validation images."""

    images: AtLeastOne
    blocks: list[BlockRecord]
    """Empty for a method whose blocks have no task of their own."""
    trained_on_own_task: bool = True
    """Whether what `own_accuracy` looks at is what the blocks are trained on, too."""
    steps: list[StepRecord]


class EpochRecord(Record):
    """An epoch that was evaluated: a pass over the training part (`epoch_definition` says what the method does in it).

    With `CellConfig.eval_every` above 1, the epochs between two evaluations have no record of their own.
    """

    epoch: AtLeastOne
    train_loss: float
    """Mean of the method's own training loss over this epoch's images. Not comparable between methods."""
    val_accuracy: Fraction
    test_accuracy: Fraction | None
    """Null in a trial of a search, which looks at no test image."""
    train_seconds: Seconds
    """Of this epoch, and of those before it that were not evaluated."""
    eval_seconds: Seconds
    diagnostics: DiagnosticsRecord | None = None
    """Null for a method that has none. Looking takes no part in `train_seconds` and `eval_seconds`."""


class CellResult(Record):
    """One finished cell. `(dataset, method, seed)` names it inside its run."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    dataset: str
    method: str
    """The method as the user named it, options in brackets: `noprop`, `noprop[T=20]`."""
    method_name: str
    """The registry's name of the method, without options."""
    seed: Count
    status: Status
    error: str | None = None
    """One line on what went wrong; null when `status` is `ok`."""
    traceback: str | None = None
    attempt: AtLeastOne = 1
    """Above 1 where the cell had failed before and was tried again (`--retries`)."""
    launcher: LauncherName = "local"
    """What started the cell's process (`--launcher`). Only `local` gives a cell a machine that is known beforehand."""
    node: str | None = None
    """The name of the machine that the launcher chose; null with `local`."""
    started_at: str
    """UTC, ISO 8601."""
    wall_seconds: Seconds
    """The whole process of the cell: imports, data, warm-up, training, evaluation, probes."""

    val_accuracy: Fraction | None = None
    """After the last epoch. No epoch is chosen, so nothing is chosen by looking at the test set."""
    test_accuracy: Fraction | None = None
    train_seconds: Seconds | None = None
    """Sum over epochs of the training steps alone: evaluation, data preparation and warm-up are apart."""
    eval_seconds: Seconds | None = None
    data_seconds: Seconds | None = None
    images_per_second: NotNegative | None = None
    """Training images per training second."""
    seconds_to: dict[str, Seconds | None] = Field(default_factory=dict)
    """Training seconds until the *validation* accuracy first reached `0.90`, `0.95`, ...; null: never reached."""
    images_to: dict[str, Count | None] = Field(default_factory=dict)
    """Training images until then, each pass counted."""
    train_flops_per_image: NotNegative | None = None
    """Floating-point operations of one training step on a full batch, by PyTorch's counter (matrix products and
    convolutions, a multiplication and an addition as two), divided by the batch's images."""
    predict_flops_per_image: NotNegative | None = None
    """The same for predicting the class of the batch's images."""

    peak_rss_bytes: Bytes | None = None
    """Peak resident memory of the cell's process while it trained and evaluated."""
    baseline_rss_bytes: Bytes | None = None
    """Resident memory just before the model was built (interpreter, libraries and data)."""
    rss_rise_bytes: Bytes | None = None
    """`peak_rss_bytes - baseline_rss_bytes`: what the method itself added."""
    rss_source: Literal["high-water mark, reset", "high-water mark of the process's life"] | None = None
    """Whether the kernel let the mark be reset before the model was built. If not, imports may hide a rise."""
    activation_bytes: Bytes | None = None
    """Bytes held for backward at the peak of one training step: exact, independent of the machine."""
    activation_bytes_by_T: dict[str, Bytes] = Field(default_factory=dict)
    """The same probe with the stack built at other depths; empty for a method without a depth `T`."""
    parameter_bytes: Bytes | None = None
    optimizer_bytes: Bytes | None = None
    gpu_peak_allocated_bytes: Bytes | None = None
    """PyTorch's allocator: peak of live tensors."""
    gpu_peak_reserved_bytes: Bytes | None = None
    """PyTorch's allocator: peak of memory taken from the driver."""
    gpu_process_bytes: Bytes | None = None
    """NVML: memory of the process on the card at the end of training, CUDA context included."""

    cpu_joules: NotNegative | None = None
    """Energy of all CPU packages over `machine.seconds`, by RAPL; whatever else ran on them is in it."""
    gpu_joules: NotNegative | None = None
    """Energy of the card over `machine.seconds`, by NVML."""
    gpu_joules_source: Literal["counter", "sampled power"] | None = None
    """The card's own energy counter, or, where it has none, its power, sampled and integrated."""
    machine: MachineRecord | None = None

    parameters: Count | None = None
    stack_parameters: Count | None = None
    """Parameters in the blocks shared by design between matched methods; the rest is what joins them."""
    epoch_definition: str | None = None
    """What the method does in one epoch, in its own words."""
    credit: str | None = None
    """How credit reaches the weights, in the method's own words; null: not recorded."""

    execution: str | None = None
    """Which of several ways to compute the same the method took (`in_turn`, `together`, ...); null: it has one way."""

    world_size: AtLeastOne = 1
    """Processes (ranks) that trained the cell. With several, `train_seconds` are those of each epoch's slowest rank,
    and resident, GPU and optimiser memory those of the rank that has most; probes are of a process by itself."""
    bytes_exchanged_training: Bytes = 0
    """Bytes of gradients that the ranks handed over to be averaged while they trained, all ranks together. What a
    network carries for that depends on its algorithm."""
    bytes_exchanged_evaluation: Bytes = 0
    """Bytes that the other ranks sent to rank 0 for each evaluation. Not in `train_seconds`."""

    model_file: str | None = None
    """The trained model (`--save`), relative to the run's folder; null where it was not kept."""

    epochs: list[EpochRecord] = Field(default_factory=list)
    config: CellConfig
    data: DataRecord | None = None
    environment: Environment

    @property
    def key(self) -> tuple[str, str, int]:
        """(dataset, method, seed): what names the cell inside its run."""
        return (self.dataset, self.method, self.seed)


class PlannedCell(Record):
    """A cell that a run set out to do."""

    dataset: str
    method: str
    method_name: str
    seed: Count
    config: CellConfig

    @property
    def key(self) -> tuple[str, str, int]:
        """(dataset, method, seed), as in `CellResult.key`."""
        return (self.dataset, self.method, self.seed)


class RunRecord(Record):
    """`run.json`: what a run set out to do, written before its first cell starts."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    created_at: str
    """UTC, ISO 8601."""
    command: str
    """The command line that reproduces the run."""
    save_models: bool = False
    """Whether the trained models are kept, in `models/`."""
    jobs: AtLeastOne = 1
    """Cells that ran side by side. With more than one, times are not those of a cell that has the machine to itself.
    With a launcher other than `local`: how many it was given at a time."""
    launcher: LauncherName = "local"
    """What was to start the cells. A resumed run may take another; each row says which it was."""
    launcher_options: dict[str, str] = Field(default_factory=dict)
    """What the launcher was told (`--launcher-set`), as given."""
    timeout_seconds: Annotated[float, Field(gt=0.0)] | None = None
    """How long one attempt at a cell may take (`--timeout`); null: no limit."""
    retries: Count = 0
    """How often a cell that failed is tried again before the next one."""
    track: str | None = None
    """The experiment tracker that finished cells are handed to (`--track`); null: none."""
    purpose: Literal["comparison", "calibration"] = "comparison"
    """A calibration runs one method under two names: the second name's cells are compared with the first's."""
    calibration: CalibrationRecord | None = None
    """The machine's latest calibration when the run was made; null: it had none for these threads and this device."""
    cells: Annotated[list[PlannedCell], Field(min_length=1)]
    """In the order in which they are run."""


def name_of(cell: PlannedCell | CellResult) -> str:
    """What people are told a cell is."""
    return f"{cell.dataset} {cell.method} seed {cell.seed}"
