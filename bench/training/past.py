"""The past of a cell: earlier processes that trained it up to a checkpoint, and the checkpoints for later ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.children.protocol import Event, Job, RowBuilder, WarningEvent
from bench.errors import describe
from bench.meters.base import Meter
from bench.training.checkpoint import CheckpointError, Checkpoints, Progress, stop_and_read
from bench.training.evaluation import Evaluations
from methods.core.method import Method
from results.schema import name_of


class Past:
    """Goes on where a cell was interrupted, and keeps what a later process needs to do so."""

    def __init__(
        self,
        job: Job,
        row: RowBuilder,
        method: Method,
        fingerprint: str,
        meters: Sequence[Meter],
        emit: Callable[[Event], None],
    ) -> None:
        """For a method that was just set up, in a cell whose meters have started."""
        assert job.checkpoint is not None
        self._cell, self._row, self._method, self._fingerprint = job.cell, row, method, fingerprint
        self._meters, self._emit = meters, emit
        self._checkpoints = Checkpoints(Path(job.checkpoint), job.checkpoint_every)
        self._before: Progress | None = None
        self.measured: dict[str, Any] = {}
        """By the meters, up to the last checkpoint."""

    def go_on(self, evaluations: Sequence[Evaluations]) -> Progress | None:
        """Bring method and evaluations to the checkpoint, if there is one that can be used; otherwise say why not."""
        variants = {each.cell.method: each for each in evaluations[1:]}
        try:
            self._before = self._checkpoints.read(self._method, self._cell, self._fingerprint, variants.keys())
        except CheckpointError as error:
            self._warn(f"starts anew, since its checkpoint cannot be used: {error}")
        if self._before is not None:
            self.measured = self._before.measured
            evaluations[0].epochs += self._before.epochs
            for label, epochs in self._before.variants.items():
                variants[label].epochs += epochs
        return self._before

    def keep(self, evaluations: Sequence[Evaluations], images: int) -> None:
        """After an epoch, write a checkpoint if it is time for one. Its own memory is in no peak."""
        epochs = evaluations[0].epochs
        if not self._checkpoints.is_due(epochs[-1].train_seconds):
            return
        self.measured = stop_and_read(self._meters, self.measured)
        try:
            self._checkpoints.write(
                self._method,
                cell=self._cell,
                fingerprint=self._fingerprint,
                epoch=epochs[-1].epoch,
                images=images,
                epochs=epochs,
                variants={each.cell.method: each.epochs for each in evaluations[1:]},
                measured=self.measured,
                wall_seconds=self._row.seconds + (self._before.wall_seconds if self._before else 0.0),
                machines=self._before.machines if self._before else [],
            )
        except OSError as error:
            self._warn(f"has no checkpoint of epoch {epochs[-1].epoch}: {describe(error)}")
        for meter in self._meters:
            meter.start()

    def of_row(self) -> dict[str, Any]:
        """The fields of the row that tell of the past."""
        if self._before is None:
            return {}
        return {"earlier_machines": self._before.machines, "earlier_wall_seconds": self._before.wall_seconds}

    def _warn(self, what: str) -> None:
        self._emit(WarningEvent(sentence=f"{name_of(self._cell)} {what}"))
