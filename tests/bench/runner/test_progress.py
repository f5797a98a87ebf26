"""What is shown while a run goes on."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from bench.children.protocol import EpochEvent, SentEvent, StepEvent
from bench.runner import progress
from bench.runner.progress import BarDisplay, LineDisplay, describe_result, make_display
from tests.factories import make_cell, make_config, make_failed_cell, make_run

CELL = make_cell("noprop", "mnist", 3, config=make_config(epochs=4))
PLANNED = make_run([CELL]).cells[0]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    return made


class Screen:
    """A terminal whose text can be read."""

    def __init__(self, clock: Clock) -> None:
        self.width = 160
        self._clock = clock
        self._file = io.StringIO()

    def console(self, *, stderr: bool) -> Console:
        assert stderr
        return Console(file=self._file, force_terminal=True, width=self.width, color_system=None, get_time=self._clock)

    @property
    def lines(self) -> list[str]:
        """Every line that was drawn, the last picture of the bars at the end."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._file.getvalue())
        return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Screen:
    made = Screen(clock)
    monkeypatch.setattr(progress, "Console", made.console)
    return made


def step(images: int, epoch: int = 2) -> StepEvent:
    return StepEvent(epoch=epoch, images=images, images_total=400, loss=0.4321, images_per_second=1234.5)


def test_bars_on_a_terminal_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, kind in ((True, BarDisplay), (False, LineDisplay)):
        file = io.StringIO()
        monkeypatch.setattr(file, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "stderr", file)
        assert isinstance(make_display(2, 0), kind)


def test_lines_are_one_for_each_cell(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay(total=7, done=4) as display:
        for _ in range(2):
            display.cell_started(PLANNED)
            display.event(PLANNED, step(10))
            display.event(PLANNED, EpochEvent(epoch=1, loss=0.5, val_accuracy=0.9))
            display.cell_ended(CELL)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"[5/7] {describe_result(CELL)}\n[6/7] {describe_result(CELL)}\n"


def test_a_long_cell_says_how_it_is_getting_on(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with LineDisplay(total=1, done=0) as display:
        display.cell_started(PLANNED)
        for epoch, seconds in enumerate((20, 11, 20, 11), start=1):
            clock.now += seconds
            display.event(PLANNED, EpochEvent(epoch=epoch, loss=0.4321, val_accuracy=0.912))
    assert capsys.readouterr().err.splitlines() == [
        f"[1/1] mnist noprop seed 3: epoch {epoch}, loss 0.4321, validation accuracy 91.20%" for epoch in (2, 4)
    ]


def test_a_long_epoch_says_how_far_it_is_and_hides_no_accuracy(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with LineDisplay(total=1, done=0) as display:
        display.cell_started(PLANNED)
        for images in (60, 130, 200):
            clock.now += 40
            display.event(PLANNED, step(images))
        display.event(PLANNED, EpochEvent(epoch=2, loss=0.4321, val_accuracy=0.912))
    name = "[1/1] mnist noprop seed 3: epoch 2"
    assert capsys.readouterr().err.splitlines() == [
        f"{name}, 32% trained, loss 0.4321, 1,234 images/s",
        f"{name}, loss 0.4321, validation accuracy 91.20%",
    ]


def test_a_cell_that_is_sent_elsewhere_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay(total=1, done=0) as display:
        display.cell_started(PLANNED)
        display.event(PLANNED, SentEvent(where="Slurm job 7"))
    assert capsys.readouterr().err == "[1/1] mnist noprop seed 3: sent as Slurm job 7\n"


def test_a_finished_cell_in_words() -> None:
    text = describe_result(make_cell(test_accuracy=0.98765, train_seconds=12.34, peak_rss_bytes=500 * 2**20))
    assert text == "mnist backprop seed 0: test accuracy 98.77%, 12.3 s of training, peak memory 500 MiB"
    assert describe_result(make_failed_cell(error="no luck")) == "mnist backprop seed 0: ERROR: no luck"


@pytest.mark.parametrize("width", [80, 160])
def test_bars_show_loss_accuracy_speed_and_time_left(screen: Screen, clock: Clock, width: int) -> None:
    """In a window of the usual width too. Half of the four epochs' 400 images, and of the third epoch, are done."""
    screen.width = width
    with BarDisplay(total=5, done=2) as display:
        display.cell_started(PLANNED)
        display.event(PLANNED, EpochEvent(epoch=2, loss=0.5, val_accuracy=0.912))
        for seen in (220, 230, 240, 250):
            clock.now += 5
            display.event(PLANNED, step(seen, epoch=3))
    cells, cell, epoch = screen.lines[-3:]
    assert cells.startswith("cells ")
    assert " 40% 2/5 mnist noprop seed 3 " in cells
    assert cell.startswith("cell ")
    assert " 62% epoch 3/4 val 91.20% " in cell
    assert cell.endswith(" left 0:01:15")  # 150 images at 2 a second
    assert epoch.startswith("epoch ")
    assert " 50% loss 0.4321 1,234 images/s " in epoch
    assert epoch.endswith(" left 0:00:25")  # 50 images


def test_accuracy_shows_as_soon_as_it_is_known(screen: Screen) -> None:
    with BarDisplay(total=5, done=2) as display:
        display.cell_started(PLANNED)
        display.event(PLANNED, step(100, epoch=1))
        display.event(PLANNED, EpochEvent(epoch=1, loss=0.5, val_accuracy=0.912))
    *_, cell, epoch = screen.lines
    assert " 25% epoch 1/4 val 91.20% " in cell
    assert "100% loss 0.4321 " in epoch


def test_the_next_cell_starts_anew(screen: Screen) -> None:
    with BarDisplay(total=5, done=2) as display:
        display.cell_started(PLANNED)
        display.event(PLANNED, EpochEvent(epoch=1, loss=0.5, val_accuracy=0.912))
        display.event(PLANNED, step(130))
        display.cell_ended(CELL)
        display.cell_started(PLANNED)
        display.event(PLANNED, step(4, epoch=1))
    cells, cell, epoch = screen.lines[-3:]
    assert describe_result(CELL) in screen.lines
    assert " 60% 3/5 mnist noprop seed 3 " in cells
    assert "  1% epoch 1/4  " in cell
    assert "  4% loss 0.4321 " in epoch


def test_a_cell_that_has_said_nothing_yet(screen: Screen) -> None:
    with BarDisplay(total=5, done=2) as display:
        display.cell_started(PLANNED)
    assert " starting " in screen.lines[-1]


@pytest.mark.parametrize("method", ["noprop[T=2]", "noprop[sampler=mean]", "noprop[eta=0.5,embedding=learned]"])
def test_brackets_are_text(screen: Screen, method: str) -> None:
    """Brackets are how options are written, and how rich marks styles."""
    cell = make_cell(method)
    with BarDisplay(total=1, done=0) as display:
        display.cell_started(make_run([cell]).cells[0])
        display.event(PLANNED, step(1))
    assert f" 0/1 mnist {method} seed 0 " in screen.lines[-3]
    with BarDisplay(total=1, done=0) as display:
        display.cell_ended(cell)
    assert describe_result(cell) in screen.lines


def test_a_long_name_leaves_room_for_the_rest(screen: Screen) -> None:
    screen.width = 80
    cell = make_cell("noprop[alpha_bar_max=0.99,alpha_bar_min=0.01,embedding=learned]")
    with BarDisplay(total=1, done=0) as display:
        display.cell_started(make_run([cell]).cells[0])
        display.event(PLANNED, step(130))
    assert "1,234 images/s" in screen.lines[-1]
    assert screen.lines[-1].endswith("left -:--:--")
