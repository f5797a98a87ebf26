"""What a person sees while cells run: bars on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from bench.children.protocol import EpochEvent, Event, SentEvent, StepEvent, WarningEvent
from results.schema import CellResult, PlannedCell, name_of

_EPOCH_EVERY_SECONDS = 30.0
_STEP_EVERY_SECONDS = 60.0


def make_display(total: int, done: int, *, in_turn: bool = True) -> LineDisplay:
    """Bars if standard error is a terminal and this machine runs one cell after another, otherwise lines.

    Args:
        total: Cells of the run.
        done: Cells of it that are finished already.
        in_turn: Whether it does.
    """
    return BarDisplay(total, done) if sys.stderr.isatty() and in_turn else LineDisplay(total, done)


def describe_result(result: CellResult) -> str:
    """One line on a finished cell."""
    name = name_of(result)
    if result.status != "ok":
        return f"{name}: {result.status.upper()}: {result.error}"
    assert result.train_seconds is not None
    if result.test_accuracy is None:
        assert result.val_accuracy is not None
        return f"{name}: validation accuracy {result.val_accuracy:.2%}, {result.train_seconds:.1f} s of training"
    assert result.peak_rss_bytes is not None
    shared = "" if result.trained_with in (None, result.method) else f" shared with {result.trained_with}"
    return (
        f"{name}: test accuracy {result.test_accuracy:.2%}, {result.train_seconds:.1f} s of training{shared}, "
        f"peak memory {result.peak_rss_bytes / 2**20:.0f} MiB"
    )


class LineDisplay(AbstractContextManager["LineDisplay"]):
    """A line per finished cell, and one now and then on a cell that takes long, or whose epochs do."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._started = total, done
        self._numbers: dict[str, int] = {}
        self._last_lines: dict[str, float] = {}
        self._last_epochs: dict[str, float] = {}

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""

    def cell_started(self, cell: PlannedCell, *variants: PlannedCell) -> None:
        """The cell's process is about to start, which also evaluates its variants; nothing is said yet."""
        for each in (cell, *variants):
            self._started += 1
            self._numbers[name_of(each)] = self._started
            self._last_lines[name_of(each)] = self._last_epochs[name_of(each)] = time.monotonic()

    def event(self, cell: PlannedCell, event: Event) -> None:
        """Say where it was sent, how far it is if nothing was said of that for a while, and any warning."""
        name, now = name_of(cell), time.monotonic()
        if isinstance(event, WarningEvent):
            self._say(name, f"warning: {event.sentence}")
        elif isinstance(event, SentEvent):
            self._say(name, f"{name}: sent as {event.where}")
        elif isinstance(event, EpochEvent) and now - self._last_epochs[name] > _EPOCH_EVERY_SECONDS:
            self._last_epochs[name] = now
            self._say(
                name,
                f"{name}: epoch {event.epoch}, loss {event.loss:.4g}, validation accuracy {event.val_accuracy:.2%}",
            )
        elif isinstance(event, StepEvent) and now - self._last_lines[name] > _STEP_EVERY_SECONDS:
            done = event.images / event.images_total
            self._say(
                name,
                f"{name}: epoch {event.epoch}, {done:.0%} trained, loss {event.loss:.4g}, "
                f"{event.images_per_second:,.0f} images/s",
            )

    def cell_ended(self, result: CellResult) -> None:
        """The cell's row is kept: say how it ended."""
        self._say(name_of(result), describe_result(result))

    def _say(self, name: str, text: str) -> None:
        self._last_lines[name] = time.monotonic()
        print(f"[{self._numbers[name]}/{self._total}] {text}", file=sys.stderr, flush=True)


class BarDisplay(LineDisplay):
    """Bars for all cells, this cell and its epoch, with loss, accuracy, images/s and the time left."""

    def __init__(self, total: int, done: int) -> None:
        console = Console(stderr=True)
        # A long method's name is cut rather than the times and bars beside it.
        detail = Column(no_wrap=True, max_width=max(36, console.width - 32))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}", markup=False, table_column=detail),  # brackets are options, not styles
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._cells = self._progress.add_task("cells", total=total, completed=done, detail=f"{done}/{total}")
        self._cell = self._progress.add_task("cell", total=None, detail="", visible=False)
        self._epoch = self._progress.add_task("epoch", total=None, detail="", visible=False)
        self._total, self._done = total, done
        self._epochs = self._number = 0
        self._accuracy = ""

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def cell_started(self, cell: PlannedCell, *variants: PlannedCell) -> None:
        """Name the cell, and reset its bars."""
        self._epochs, self._number, self._accuracy = cell.config.epochs, 0, ""
        self._progress.update(self._cells, detail=f"{self._done}/{self._total} {name_of(cell)}")
        self._progress.reset(self._cell, total=None, visible=True, detail="starting")
        self._progress.update(self._epoch, visible=False)

    def event(self, cell: PlannedCell, event: Event) -> None:
        """Move the bars of the cell and the epoch; print warnings above them."""
        update = self._progress.update
        if isinstance(event, WarningEvent):
            self._progress.console.print(f"warning: {event.sentence}", highlight=False, markup=False)
        elif isinstance(event, EpochEvent):
            self._accuracy = f" val {event.val_accuracy:.2%}"
            update(self._cell, detail=f"epoch {event.epoch}/{self._epochs}{self._accuracy}")
        elif isinstance(event, StepEvent):
            images = event.images_total / self._epochs
            if event.epoch != self._number:
                self._number = event.epoch
                self._progress.reset(self._epoch, total=images, visible=True)
            detail = f"epoch {event.epoch}/{self._epochs}{self._accuracy}"
            update(self._cell, completed=event.images, total=event.images_total, detail=detail)
            detail = f"loss {event.loss:.4g} {event.images_per_second:,.0f} images/s"
            update(self._epoch, completed=event.images - images * (event.epoch - 1), detail=detail)

    def cell_ended(self, result: CellResult) -> None:
        """Print the cell's line above the bars and move the first one."""
        self._done += 1
        self._progress.console.print(describe_result(result), highlight=False, markup=False)
        self._progress.update(self._cells, completed=self._done, detail=f"{self._done}/{self._total}")
