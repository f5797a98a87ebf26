"""The records of a finished cell and of a run: the versioned, validated form of the results files.

A *cell* is one (data set, method, seed): one JSON line in `cells.jsonl`. Its run is described once, in `run.json`.
Scalars that a table needs are top-level fields, so `pandas.read_json("cells.jsonl", lines=True)` gives one usable row
per cell.

Units are in the names: `_seconds` (wall-clock time), `_bytes`. Accuracies are fractions in [0, 1]. A value that could
not be measured (GPU memory on a CPU) or that a failed cell never reached is null, never a guess.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from results.answers import unpack
from results.conditions import (
    SCHEMA_VERSION,
    AtLeastOne,
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
from results.past_names import MethodLabel
from results.past_options import with_past_options

Status = Literal["ok", "error", "killed"]
LauncherName = Literal["local", "slurm", "ray"]
"""What starts a cell's process: the command itself on its own machine, or an engine that chooses machines."""


class BlockRecord(Record):
    """What one block (in continuous time: the network at one time) has learned, on validation images."""

    number: AtLeastOne
    """Block t of a stack, from 1; in continuous time, the position in the list of times."""
    time: Fraction
    """Of the block's input: 0 is pure noise, 1 the end of inference. Block t of T has (t - 1) / T."""
    own_accuracy: Fraction
    """Accuracy of its estimate from the image and the true label's embedding at the block's noise level. Late blocks
    see nearly the label itself."""
    image_accuracy: Fraction
    """The same from the image and pure noise: what the block reads from the image alone."""
    denoising_error: NotNegative
    """Mean |u_hat - u|^2 over mean |u|^2, as for `own_accuracy`: 0 is perfect, 1 no better than an estimate of zero."""
    snr_weight: NotNegative | None
    """Weight of the block's loss: SNR(t) - SNR(t-1), or SNR'(t) in continuous time; null where the loss has none."""


class StepRecord(Record):
    """Accuracy on validation images if inference stopped at a time: 0 is the initial noise, 1 the end."""

    time: Fraction
    accuracy: Fraction


class DiagnosticsRecord(Record):
    """What the blocks have learned after an epoch, on (at most a fixed number of) validation images."""

    images: AtLeastOne
    blocks: list[BlockRecord]
    """Empty if the blocks have no task of their own."""
    trained_on_own_task: bool = True
    """Whether the blocks are trained on the task of `own_accuracy`."""
    steps: list[StepRecord]


class EpochRecord(Record):
    """An evaluated epoch: a pass over the training part (`epoch_definition` says what the method does in it).

    With `CellConfig.eval_every` above 1, epochs between two evaluations have no record.
    """

    epoch: AtLeastOne
    train_loss: float
    """Mean of the method's own training loss over the epoch's images. Not comparable between methods."""
    val_accuracy: Fraction
    test_accuracy: Fraction | None
    """Null in a trial of a search, which uses no test image."""
    train_seconds: Seconds
    """Of this epoch and those before it that were not evaluated."""
    eval_seconds: Seconds
    grad_norm_median: NotNegative | None = None
    """Of the gradients at the steps since the last record: Euclidean norms over one optimiser's parameters (each
    block's, where blocks train apart), before clipping, at every fourth step (with clipping, at every step)."""
    grad_norm_max: NotNegative | None = None
    """The largest of them."""
    diagnostics: DiagnosticsRecord | None = None
    """Null if the method has none. Not part of `train_seconds` and `eval_seconds`."""


class CellResult(Record):
    """One finished cell, unique in its run by `(dataset, method, seed)`."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    dataset: str
    method: MethodLabel
    """The method as the user named it, options in brackets: `noprop`, `noprop[T=20]`."""
    method_name: MethodLabel
    """The registry's name of the method, without options."""
    seed: Count
    status: Status
    error: str | None = None
    """One line on what went wrong; null if `status` is `ok`."""
    traceback: str | None = None
    attempt: AtLeastOne = 1
    """Above 1 if the cell failed before and was tried again (`--retries`)."""
    launcher: LauncherName = "local"
    """What started the cell's process (`--launcher`). Only with `local` is the machine known beforehand."""
    node: str | None = None
    """Name of the machine that the launcher chose, or on which a cell ended that was interrupted; else null."""
    started_at: str
    """UTC, ISO 8601."""
    wall_seconds: Seconds
    """The whole process of the cell: imports, data, warm-up, training, evaluation, probes; with those before it."""
    earlier_machines: list[str] = Field(default_factory=list)
    """Where earlier processes trained the cell up to its checkpoint, a name each; empty: it was not interrupted. Epochs
    and peaks of memory are those of all parts, `machine` is that of the last."""
    earlier_wall_seconds: Seconds = 0.0
    """What they took, up to the checkpoint."""
    yielded_seconds: Seconds | None = None
    """For so long other programs needed the cell's cores, and its threads waited for one another without spinning, in
    the last part of a cell that was interrupted; null: unknown."""

    val_accuracy: Fraction | None = None
    """After the last epoch: no epoch is chosen, so nothing is chosen by the test set."""
    test_accuracy: Fraction | None = None
    test_balanced_accuracy: Fraction | None = None
    """Mean over classes of the accuracy on each class's test images; null: not recorded."""
    test_class_accuracies: list[Fraction] = Field(default_factory=list)
    """The accuracy on each class's test images, in the order of the labels; empty: not recorded."""
    val_correct: str | None = None
    """Which validation images were right after the last epoch (`results.answers`); null: not recorded."""
    test_correct: str | None = None
    """Which test images were, in the order of the data set, the same for every cell that has the same fingerprint."""
    train_seconds: Seconds | None = None
    """Sum over epochs of the training steps alone, without evaluation, data preparation and warm-up."""
    eval_seconds: Seconds | None = None
    data_seconds: Seconds | None = None
    images_per_second: NotNegative | None = None
    """Training images per training second."""
    seconds_to: dict[str, Seconds | None] = Field(default_factory=dict)
    """Training seconds until the *validation* accuracy first reached `0.90`, `0.95`, ...; null: never."""
    images_to: dict[str, Count | None] = Field(default_factory=dict)
    """Training images until then, counted in every pass."""
    train_flops_per_image: NotNegative | None = None
    """Floating-point operations of one training step on a full batch, divided by its images, by PyTorch's counter
    (matrix products and convolutions, a multiplication and an addition as two)."""
    predict_flops_per_image: NotNegative | None = None
    """The same for prediction."""

    peak_rss_bytes: Bytes | None = None
    """Peak resident memory of the cell's process during training and evaluation."""
    baseline_rss_bytes: Bytes | None = None
    """Resident memory just before the model was built: interpreter, libraries and data."""
    rss_rise_bytes: Bytes | None = None
    """`peak_rss_bytes - baseline_rss_bytes`: what the method itself added."""
    rss_source: Literal["high-water mark, reset", "high-water mark of the process's life"] | None = None
    """Whether the kernel could reset the mark before the model was built. If not, imports may hide a rise."""
    activation_bytes: Bytes | None = None
    """Bytes held for backward at the peak of one training step: exact, and independent of the machine but for
    `execution` and, where that is `concurrent`, the number of threads."""
    activation_bytes_in_turn: Bytes | None = None
    """The same where parts are trained in turn, for a method that trained several at a time; null: it did not."""
    activation_bytes_by_T: dict[str, Bytes] = Field(default_factory=dict)
    """The same with the stack at other depths; empty for a method without a depth `T`."""
    parameter_bytes: Bytes | None = None
    optimizer_bytes: Bytes | None = None
    gpu_peak_allocated_bytes: Bytes | None = None
    """PyTorch's allocator: peak of live tensors."""
    gpu_peak_reserved_bytes: Bytes | None = None
    """PyTorch's allocator: peak of memory taken from the driver."""
    gpu_process_bytes: Bytes | None = None
    """NVML: GPU memory of the process at the end of training, CUDA context included."""

    cpu_joules: NotNegative | None = None
    """Energy of all CPU packages over `machine.seconds`, by RAPL, other processes included. Null, like that of the GPU,
    where the cell was interrupted: its earlier parts took some, too."""
    gpu_joules: NotNegative | None = None
    """Energy of the GPU over `machine.seconds`, by NVML."""
    gpu_joules_source: Literal["counter", "sampled power"] | None = None
    """The GPU's own energy counter, or, without one, its power, sampled and integrated."""
    machine: MachineRecord | None = None

    parameters: Count | None = None
    stack_parameters: Count | None = None
    """Parameters in the blocks that matched methods share by design; the rest joins them."""
    epoch_definition: str | None = None
    """What the method does in one epoch, in its own words."""
    credit: str | None = None
    """Credit assignment, in the method's own words; null: not recorded."""

    method_package: str | None = None
    """Where the method comes from another package: its name, version and the beginning of the SHA-256 over its files,
    `my-method 0.1.0 (files 3f9a...)`. Null: it is of this project, or not recorded."""

    execution: str | None = None
    """Which of several ways to compute the same training was used (`in_turn`, `concurrent`, ...); null: it has one."""

    world_size: AtLeastOne = 1
    """Processes (ranks) that trained the cell. With several, `train_seconds` is each epoch's slowest rank's, and
    resident, GPU and optimiser memory the largest rank's; probes are of a single process."""
    bytes_exchanged_training: Bytes = 0
    """Bytes of gradients that all ranks together passed on to be averaged during training. The network traffic for that
    depends on the algorithm."""
    bytes_exchanged_evaluation: Bytes = 0
    """Bytes that the other ranks sent to rank 0 for evaluations. Not in `train_seconds`."""

    model_file: str | None = None
    """The trained model (`--save`), relative to the run's folder; null if not kept."""

    epochs: list[EpochRecord] = Field(default_factory=list)
    trained_with: MethodLabel | None = None
    """The method whose cell, with the same data set and seed, trained the model that this row evaluates; its own where
    that cell is this one and others share its training. Their rows differ at inference alone: training time, memory and
    `wall_seconds` are of all together. Null: the training is of this row alone."""
    config: CellConfig
    data: DataRecord | None = None
    environment: Environment

    @model_validator(mode="before")
    @classmethod
    def _read_past(cls, record: Any) -> Any:
        return with_past_options(record)

    @property
    def best_val_epoch(self) -> EpochRecord | None:
        """The evaluated epoch with the highest *validation* accuracy, the earliest of several; null: there is none.

        Its test accuracy is an honest figure for training stopped there: the test images chose nothing.
        """
        return max(self.epochs, key=lambda epoch: epoch.val_accuracy, default=None)

    @property
    def test_accuracy_at_best_val(self) -> float | None:
        """Test accuracy of `best_val_epoch`; null where fewer than two epochs were evaluated: there is no choice."""
        best = self.best_val_epoch
        return best.test_accuracy if best and len(self.epochs) > 1 else None

    @property
    def key(self) -> tuple[str, str, int]:
        """(dataset, method, seed), unique in a run."""
        return (self.dataset, self.method, self.seed)

    @model_validator(mode="after")
    def _check_answers(self) -> Self:
        """The bits say the accuracy that the row says."""
        if self.data is not None:
            for bits, accuracy, images, part in (
                (self.val_correct, self.val_accuracy, self.data.n_val, "validation"),
                (self.test_correct, self.test_accuracy, self.data.n_test, "test"),
            ):
                if bits is None:
                    continue
                try:
                    right = int(unpack(bits, images).sum())
                except ValueError as error:
                    raise ValueError(f"the record of its {part} answers is damaged: {error}") from None
                if accuracy is None or round(accuracy * images) != right:
                    raise ValueError(f"the record of its {part} answers is not that of its accuracy")
        return self


class PlannedCell(Record):
    """A cell that a run is to do."""

    dataset: str
    method: MethodLabel
    method_name: MethodLabel
    seed: Count
    trained_with: MethodLabel | None = None
    """As in `CellResult`."""
    config: CellConfig

    @model_validator(mode="before")
    @classmethod
    def _read_past(cls, record: Any) -> Any:
        return with_past_options(record)

    @property
    def key(self) -> tuple[str, str, int]:
        """(dataset, method, seed), as in `CellResult.key`."""
        return (self.dataset, self.method, self.seed)

    @property
    def training(self) -> tuple[str, str, int]:
        """The key of the cell that trains its model: its own, or that of one that differs at inference alone."""
        return (self.dataset, self.trained_with or self.method, self.seed)


class Margins(Record):
    """What counts as no difference in practice, declared before the run."""

    accuracy_points: NotNegative = 0.5
    """Percentage points of accuracy."""
    time: NotNegative = 0.05
    """A fraction of the reference's time, as that of memory is of its memory."""
    memory: NotNegative = 0.05


class RunRecord(Record):
    """`run.json`: what a run is to do, written before its first cell starts."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    created_at: str
    """UTC, ISO 8601."""
    command: str
    """The command line that reproduces the run."""
    save_models: bool = False
    """Whether trained models are kept, in `models/`."""
    jobs: AtLeastOne = 1
    """Cells that ran side by side, and so shared the machine; with a launcher other than `local`, how many it got at a
    time."""
    launcher: LauncherName = "local"
    """What was to start the cells. A resumed run may use another; each row has its own."""
    launcher_options: dict[str, str] = Field(default_factory=dict)
    """The launcher's options (`--launcher-set`), as given."""
    timeout_seconds: Annotated[float, Field(gt=0.0)] | None = None
    """Time limit of one attempt at a cell (`--timeout`); null: none."""
    checkpoint_every: AtLeastOne | None = None
    """Epochs from one checkpoint inside a cell to the next (`--checkpoint-every`); null: as often as costs little."""
    retries: Count = 0
    """Retries per failed cell, before the next one."""
    track: str | None = None
    """The experiment tracker for finished cells (`--track`); null: none."""
    purpose: Literal["comparison", "calibration"] = "comparison"
    """A calibration runs one method under two names, and compares the second's cells with the first's."""
    margins: Margins = Margins()
    """Differences from the reference up to these are equivalence (`--margin-accuracy` and the like)."""
    race: bool = False
    """Whether training steps of each method are timed against the reference's after the cells (`--race`)."""
    calibration: CalibrationRecord | None = None
    """The machine's latest calibration for these threads and this device when the run was made; null: none."""
    cells: Annotated[list[PlannedCell], Field(min_length=1)]
    """In the order of running."""


def name_of(cell: PlannedCell | CellResult) -> str:
    """How a cell is named to people."""
    return f"{cell.dataset} {cell.method} seed {cell.seed}"
