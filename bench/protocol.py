"""What goes between the harness and a cell's process: one job in, events out, each a JSON line; the last has the row."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from results.schema import CellResult, Environment, PlannedCell


class Job(BaseModel):
    """All that a cell's process needs to know."""

    run_id: str
    cell: PlannedCell
    data_dir: str | None
    save_in: str | None = None
    """The run's folder, where the trained model is to be kept; None: it is not."""
    environment: Environment
    group: str | None = None
    """Where the cell's processes meet in torchrun's store; None: there is only this one."""
    timeout_seconds: float | None = None
    """How long the cell's whole process may take; None: as long as it likes."""
    trial: bool = False
    """A trial of a search: trained as a cell is, but only evaluated, and on validation images alone."""


class StepEvent(BaseModel):
    """Now and then during training: how far the epoch is."""

    kind: Literal["step"] = "step"
    epoch: int
    images: int
    """Training images seen so far in the whole cell."""
    images_total: int
    """Training images that the whole cell will see."""
    loss: float
    images_per_second: float


class EpochEvent(BaseModel):
    """An epoch has ended and was evaluated."""

    kind: Literal["epoch"] = "epoch"
    epoch: int
    loss: float
    val_accuracy: float


Phase = Literal["training", "evaluation", "probes"]
"""Training is the part of an epoch that the clock covers; probes come after the last epoch."""


class PhaseEvent(BaseModel):
    """What the cell does from now on."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class WarningEvent(BaseModel):
    """Something that the user should know of and that costs the cell nothing."""

    kind: Literal["warning"] = "warning"
    sentence: str


class SentEvent(BaseModel):
    """A launcher has sent the cell off, to start when its engine has a machine for it."""

    kind: Literal["sent"] = "sent"
    where: str


class ResultEvent(BaseModel):
    """The cell has ended, well or with an error."""

    kind: Literal["result"] = "result"
    result: CellResult


Event = StepEvent | EpochEvent | PhaseEvent | WarningEvent | SentEvent | ResultEvent
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
"""Parses one event."""


class RowBuilder:
    """Builds the row of a job whose cell starts now."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._started_at, self._clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()

    def build(self, status: str = "ok", **found: Any) -> CellResult:
        """The row, now that the cell has ended: what its job says, and the fields found."""
        cell = self.job.cell
        return CellResult.model_validate(
            {
                "run_id": self.job.run_id,
                **{name: getattr(cell, name) for name in type(cell).model_fields},
                "status": status,
                "started_at": self._started_at,
                "wall_seconds": time.perf_counter() - self._clock,
                "environment": self.job.environment,
            }
            | found
        )

    def failed(self, status: str, error: str, traceback: str | None = None) -> CellResult:
        """The row of a cell that did not end well; of a long traceback, the end."""
        return self.build(status, error=error, traceback=traceback)
