"""What goes between the harness and a cell's process: a job in, events out, each a JSON line."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from results.schema import CellResult, Environment, PlannedCell


class Job(BaseModel):
    """All that a cell's process needs."""

    run_id: str
    cell: PlannedCell
    variants: list[PlannedCell] = []
    """Cells that differ from it at inference alone: its model is evaluated for them, too."""
    data_dir: str | None
    save_in: str | None = None
    """The run's folder, where the trained model is saved; None: it is not."""
    checkpoint: str | None = None
    """Where the cell's checkpoints are, without suffix (`bench.training.checkpoint`); None: it makes none."""
    checkpoint_every: int | None = None
    """Epochs from one to the next; None: as often as costs little."""
    probed: dict[str, Any] = {}
    """Fields of the row that are counted exactly, from a cell that differs in its seed alone; empty: they are not known
    yet, and are counted by this cell."""
    environment: Environment
    group: str | None = None
    """The prefix under which the cell's ranks meet in torchrun's store; None: there is one process."""
    timeout_seconds: float | None = None
    """Time limit of the cell's whole process; None: none."""
    trial: bool = False
    """A trial of a search: trained like any cell, but evaluated on validation images alone, and not probed."""


class StepEvent(BaseModel):
    """Progress of an epoch, at most four times a second."""

    kind: Literal["step"] = "step"
    epoch: int
    images: int
    """Training images seen so far in the whole cell."""
    images_total: int
    """Training images that the whole cell will see."""
    loss: float
    images_per_second: float


class EpochEvent(BaseModel):
    """An epoch was evaluated."""

    kind: Literal["epoch"] = "epoch"
    epoch: int
    loss: float
    val_accuracy: float


Phase = Literal["training", "evaluation", "probes"]
"""Training is the part of an epoch that the clock covers; probes come after the last epoch."""


class PhaseEvent(BaseModel):
    """The cell's next phase begins."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class WarningEvent(BaseModel):
    """The user should know something that does not harm the cell."""

    kind: Literal["warning"] = "warning"
    sentence: str


class SentEvent(BaseModel):
    """A launcher has sent the cell, which starts when its engine has a machine for it."""

    kind: Literal["sent"] = "sent"
    where: str


class SharedResult(CellResult):
    """On its way to the harness: the row of a cell, and what its variants' rows have of their own."""

    variants: list[dict[str, Any]]


RESULT: TypeAdapter[CellResult | SharedResult] = TypeAdapter(CellResult | SharedResult)
"""Parses the row of a cell, with variants or without."""


def rows_of(job: Job, result: CellResult) -> list[CellResult]:
    """The rows of a job: its cell's, then its variants', which ended as it did."""
    row = {name: getattr(result, name) for name in CellResult.model_fields}
    found = result.variants if isinstance(result, SharedResult) else [{} for _ in job.variants]
    own = [
        {"method": cell.method, "config": cell.config} | each for cell, each in zip(job.variants, found, strict=True)
    ]
    return [CellResult.model_validate(row | each) for each in ({}, *own)]


class ResultEvent(BaseModel):
    """The cell has ended, well or with an error."""

    model_config = ConfigDict(ser_json_inf_nan="strings")  # as in the record itself

    kind: Literal["result"] = "result"
    result: CellResult | SharedResult


Event = StepEvent | EpochEvent | PhaseEvent | WarningEvent | SentEvent | ResultEvent
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
"""Parses one event."""


class RowBuilder:
    """Builds the row of a job whose cell starts now."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._started_at, self._clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._clock

    def build(self, status: str = "ok", **found: Any) -> CellResult:
        """The row, now that the cell has ended: what its job says, and the fields given."""
        cell = self.job.cell
        return CellResult.model_validate(
            {
                "run_id": self.job.run_id,
                **{name: getattr(cell, name) for name in type(cell).model_fields},
                "status": status,
                "started_at": self._started_at,
                "wall_seconds": self.seconds,
                "environment": self.job.environment,
            }
            | found
        )

    def build_all(self, own: Sequence[Mapping[str, Any]], **shared: Any) -> CellResult:
        """The row of a cell that ended well, with its variants: what is each one's own, the cell's first."""
        row, variants = self.build(**own[0], **shared), [dict(fields) for fields in own[1:]]
        return SharedResult(**dict(row), variants=variants) if variants else row

    def failed(self, status: str, error: str, traceback: str | None = None) -> CellResult:
        """The row of a cell that did not end well."""
        return self.build(status, error=error, traceback=traceback)
