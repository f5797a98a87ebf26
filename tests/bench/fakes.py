"""Cells that take no time, for tests of what the command line does with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.children.protocol import Event, Job, RowBuilder
from reports.formats.choice import Forms
from reports.view import RunView, arrange
from results.schema import CellResult
from results.store import read_cells, read_run
from tests.factories import make_cell, make_failed_cell

Key = tuple[str, str, int]


class FakeCells:
    """Stands in for `run_in_process`; a cell fails if `failing` has its method, and stops the run if `stop` has it.

    Asked to save its model, a cell says that it has, unless `unsaved` has its method.
    """

    def __init__(self) -> None:
        self.started: list[Key] = []
        self.jobs: list[Job] = []
        self.failing: set[str] = set()
        self.unsaved: set[str] = set()
        self.stop: dict[str, BaseException] = {}
        self.stop_report: BaseException | None = None
        self.forms: Forms | None = None

    def __call__(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        """The row of this cell."""
        cell = job.cell
        self.started.append(cell.key)
        self.jobs.append(job)
        if cell.method in self.stop:
            raise self.stop[cell.method]
        make = make_failed_cell if cell.method in self.failing else make_cell
        saved = job.save_in is not None and cell.method not in self.failing | self.unsaved
        return make(
            cell.method,
            cell.dataset,
            cell.seed,
            run_id=job.run_id,
            config=cell.config,
            model_file="models/model.safetensors" if saved else None,
        )

    def view_and_report(self, run: Path, *, forms: Forms) -> tuple[RunView, Path]:
        """A report that lists what a real one would have to show."""
        self.forms = forms
        if self.stop_report is not None:
            raise self.stop_report
        report = run / "report.md"
        report.write_text("\n".join(str(cell.key) for cell in read_cells(run)))
        return arrange(read_run(run), read_cells(run)), report


class FakeTrials:
    """Stands in for `run_in_process`: the accuracy of a trial follows from its hyperparameters."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.accuracy: Callable[[Job], float] = lambda job: 0.9 - abs(job.cell.config.lr - 0.003)
        self.failing: Callable[[Job], bool] = lambda job: False
        self.stop_at: int | None = None

    def __call__(self, job: Job, on_event: Callable[[Event], None]) -> CellResult:
        if len(self.jobs) == self.stop_at:
            raise KeyboardInterrupt
        self.jobs.append(job)
        if self.failing(job):
            return RowBuilder(job).failed("error", "training diverged: the loss is nan")
        return RowBuilder(job).build(val_accuracy=self.accuracy(job), train_seconds=1.0)

    @property
    def tried(self) -> list[tuple[str, float, float, dict[str, Any]]]:
        """(method, learning rate, weight decay, options) of each trial."""
        configs = [(job.cell.method.split(" ")[0], job.cell.config) for job in self.jobs]
        return [(name, config.lr, config.weight_decay, config.options) for name, config in configs]
