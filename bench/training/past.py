"""The past of a cell: earlier processes that trained it up to a checkpoint, and the checkpoints for later ones."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.children.protocol import Event, Job, RowBuilder, WarningEvent
from bench.errors import describe
from bench.meters.base import Meter
from bench.training.checkpoint import CheckpointError, Checkpoints, Progress, stop_and_read
from bench.training.evaluation import Evaluations
from bench.training.ranks import Ranks
from bench.training.updates import Updates
from methods.core.method import Method
from results.schema import name_of


class Past:
    """Goes on where a cell was interrupted, and keeps what a later process needs to do so."""

    def __init__(
        self,
        job: Job,
        row: RowBuilder,
        method: Method,
        updates: Updates,
        code: str,
        fingerprint: str,
        meters: Sequence[Meter],
        ranks: Ranks,
        emit: Callable[[Event], None],
    ) -> None:
        """For a method that was just set up, in a cell whose meters have started; `code` is as in `Progress`."""
        assert job.checkpoint is not None
        self._cell, self._row, self._fingerprint = job.cell, row, fingerprint
        self._method, self._updates = method, updates
        self._meters, self._ranks, self._emit = meters, ranks, emit
        self._checkpoints = Checkpoints(Path(job.checkpoint), job.checkpoint_every, ranks, code)
        self._before: Progress | None = None
        self._has_failed = False
        self.measured: dict[str, Any] = {}
        """By the meters, up to the last checkpoint."""

    def go_on(self, evaluations: Sequence[Evaluations]) -> Progress | None:
        """Bring method and evaluations to the checkpoint, if there is one that can be used; otherwise say why not."""
        variants = {each.cell.method: each for each in evaluations[1:]}
        try:
            self._before = self._checkpoints.read(
                self._method, self._updates, self._cell, self._fingerprint, variants.keys()
            )
        except CheckpointError as error:
            self._warn(f"starts anew, since its checkpoint cannot be used: {error}")
        if self._before is not None:
            self._begin_stretch()  # anew: what reading took is in no peak
            if (now := torch.backends.cpu.get_cpu_capability()) != (then := self._before.instructions):
                self._warn(f"goes on with {now} instructions after {then}, so last digits may differ")
            self.measured = self._before.measured
            self._ranks.bytes_in_training, self._ranks.bytes_for_evaluation = self._before.exchanged
            evaluations[0].epochs += self._before.epochs
            for label, epochs in self._before.variants.items():
                variants[label].epochs += epochs
        return self._before

    def keep(
        self, evaluations: Sequence[Evaluations], epoch: int, images: int, seconds: float, pending_seconds: float
    ) -> None:
        """After an epoch and its evaluation, write a checkpoint if it is time for one. Its own memory is in no peak.

        Where it cannot be written, that is said, and training goes on: it is worth more.

        Args:
            evaluations: Up to then; on rank 0 alone they have any.
            epoch: Its number.
            images: Training images seen.
            seconds: Of training in it.
            pending_seconds: Of training since the last evaluation.
        """
        if not self._checkpoints.is_due(seconds):
            return
        self.measured = stop_and_read(self._meters, self.measured)
        problem = self._checkpoints.write(
            self._method,
            self._updates,
            cell=self._cell,
            fingerprint=self._fingerprint,
            epoch=epoch,
            images=images,
            pending_seconds=pending_seconds,
            exchanged=(self._ranks.bytes_in_training, self._ranks.bytes_for_evaluation),
            epochs=evaluations[0].epochs,
            variants={each.cell.method: each.epochs for each in evaluations[1:]},
            measured=self.measured,
            wall_seconds=self._row.seconds + (self._before.wall_seconds if self._before else 0.0),
            machines=self._before.machines if self._before else [],
        )
        if problem is not None and not self._has_failed:
            self._warn(f"has no checkpoint of epoch {epoch}, and perhaps of later ones: {describe(problem)}")
            self._has_failed = True
        self._begin_stretch()

    def _begin_stretch(self) -> None:
        self._method.offload()
        for meter in self._meters:
            meter.noted.clear()  # `measured` has what they noted before
            meter.start()

    def of_row(self) -> dict[str, Any]:
        """The fields of the row that tell of the past."""
        if self._before is None:
            return {}
        return {
            "earlier_machines": self._before.machines,
            "earlier_wall_seconds": self._before.wall_seconds,
            "node": platform.node(),
        }

    def _warn(self, what: str) -> None:
        self._emit(WarningEvent(sentence=f"{name_of(self._cell)} {what}"))
