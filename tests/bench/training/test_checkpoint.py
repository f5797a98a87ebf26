"""A cell that is interrupted goes on from its checkpoint and gives the numbers that it would have given."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import meters
from bench.children.protocol import EpochEvent, Event, Job, PhaseEvent, StepEvent, WarningEvent
from bench.meters.base import Meter
from bench.meters.rss import PeakRss
from bench.planning.method_spec import parse_methods
from bench.training import cell, checkpoint
from bench.training.cell import run_cell
from bench.training.checkpoint import COST, Checkpoints, merge_measured, stop_and_read
from bench.training.crowding import Crowding
from bench.training.ranks import Ranks
from methods.noprop_dt import NoPropDT
from results.schema import CellResult
from tests.factories import make_cell, make_config, make_environment, make_run

EPOCHS = 4
EVERY_STREAM: dict[str, Any] = {"augment": "standard", "clip": 0.5, "ema": 0.9, "lr_schedule": "cosine"}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs' load is no event here, whatever runs beside the tests."""
    monkeypatch.setattr(Crowding, "news", lambda self: None)


class KilledError(BaseException):
    """The end of a process, in this one."""


def job_of(label: str, path: Path | None, **config: Any) -> Job:
    (spec,) = parse_methods(label, {})
    values = {"epochs": EPOCHS, "batch_size": 40, "train_size": 120, "threads": 1, "options": spec.options}
    values |= {"optimizer": "AdamW"} | config
    (cell,) = make_run([make_cell(spec.cls.name, "digits", 3, config=make_config(**values))]).cells
    return Job(
        run_id="the run",
        cell=cell,
        data_dir=None,
        environment=make_environment(),
        checkpoint=None if path is None else str(path),
        checkpoint_every=1,
    )


def run(job: Job, die_at: int | None = None) -> tuple[CellResult, list[Event]]:
    """Run the cell; it dies when it has sent so many events."""
    events: list[Event] = []

    def emit(event: Event) -> None:
        if isinstance(event, StepEvent):  # as many as the machine is slow
            return
        if len(events) == die_at:
            raise KilledError
        events.append(event)

    threads = torch.get_num_threads()
    try:
        return run_cell(job, emit), events
    finally:
        torch.set_num_threads(threads)


def numbers(result: CellResult) -> dict[str, Any]:
    """What does not depend on the machine."""
    epochs = [
        epoch.model_dump(exclude={"train_seconds", "eval_seconds"}) | {"test": epoch.test_accuracy}
        for epoch in result.epochs
    ]
    names = ("test_accuracy", "val_correct", "test_correct", "images_to", "optimizer_bytes", "parameters")
    return {"epochs": epochs} | {name: getattr(result, name) for name in names}


@pytest.mark.parametrize(
    ("label", "config"),
    [
        ("noprop[T=2,execution=in_turn]", {}),
        ("noprop[T=2,execution=in_turn]", EVERY_STREAM),
        ("noprop[T=2,execution=concurrent]", EVERY_STREAM | {"threads": 2}),
        ("noprop[T=2,execution=together]", EVERY_STREAM),
        ("noprop[T=2,execution=low_memory]", EVERY_STREAM | {"ema": None}),
        ("backprop[T=2]", EVERY_STREAM),
        ("backprop[T=2]", EVERY_STREAM | {"eval_every": EPOCHS}),
        ("noprop[T=2,execution=together]", EVERY_STREAM | {"eval_every": 3}),
        ("noprop[T=2,execution=low_memory]", EVERY_STREAM | {"ema": None, "eval_every": EPOCHS}),
        ("noprop-ct", EVERY_STREAM),
        ("noprop-fm", EVERY_STREAM),
        ("adjoint", {}),
        ("difference-target-propagation", EVERY_STREAM),
        ("forward-forward", {}),
        ("local-loss", {}),
        ("dfa", EVERY_STREAM),
        ("backprop-ensemble[T=2]", EVERY_STREAM),
    ],
)
def test_the_same_numbers_as_without_interruption(label: str, config: dict[str, Any], tmp_path: Path) -> None:
    whole, events = run(job_of(label, None, **config))
    chance = random.Random(label)
    job = job_of(label, tmp_path / "checkpoints" / "cell", **config)
    training = max(k for k, event in enumerate(events) if isinstance(event, EpochEvent)) + 1
    for most in (training, 3):  # in training, in evaluation and after it
        with pytest.raises(KilledError):
            run(job, die_at=chance.randrange(most))
    resumed, seen = run(job)
    assert numbers(resumed) == numbers(whole)
    assert bool(resumed.earlier_machines) == (len(seen) < len(events)) == (resumed.earlier_wall_seconds > 0)
    assert resumed.peak_rss_bytes is not None
    assert not [event for event in seen if isinstance(event, WarningEvent)]


METHOD = "backprop-plain"


def interrupted(path: Path) -> Job:
    """A cell with a checkpoint of its second epoch."""
    job = job_of(METHOD, path)
    with pytest.raises(KilledError):
        run(job, die_at=7)  # three events an epoch
    return job


def epochs_of(events: list[Event]) -> list[int]:
    return [event.epoch for event in events if isinstance(event, EpochEvent)]


def test_a_checkpoint_that_cannot_be_used_is_one_sentence_and_the_cell_starts_anew(tmp_path: Path) -> None:
    job = interrupted(tmp_path / "cell")
    (tmp_path / "cell.2.safetensors").write_bytes(b"x")
    result, events = run(job)
    (warning,) = [event.sentence for event in events if isinstance(event, WarningEvent)]
    assert warning == (
        "digits backprop-plain seed 3 starts anew, since its checkpoint cannot be used: its tensors do not match their "
        "checksum"
    )
    assert epochs_of(events) == [1, 2, 3, 4]
    assert result.earlier_machines == []


def test_a_process_that_dies_while_it_writes_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = interrupted(tmp_path / "cell")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def die(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(checkpoint, "_sha256", die)  # after the tensors, before the description
    with pytest.raises(KilledError):
        run(job)
    monkeypatch.undo()
    assert before.items() <= {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()
    _, events = run(job)
    assert epochs_of(events) == [3, 4]


def test_the_code_is_that_of_the_process_when_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter(["that of then"])  # there is no second one, though two checkpoints are written
    monkeypatch.setattr(cell, "hash_training", lambda _: next(hashes))
    job = interrupted(tmp_path / "cell")
    monkeypatch.undo()
    _, events = run(job)
    (warning,) = [event.sentence for event in events if isinstance(event, WarningEvent)]
    assert warning.endswith("its checkpoint cannot be used: it is of another version of the code")


def test_what_reading_and_writing_a_checkpoint_take_is_in_no_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meters begin anew after each, when blocks that take turns in memory have been put away again."""
    course: list[str] = []

    def noting(kind: type, name: str, what: str) -> None:
        done = getattr(kind, name)

        def note(*arguments: Any, **named: Any) -> Any:
            result = done(*arguments, **named)
            course.append(what)
            return result

        monkeypatch.setattr(kind, name, note)

    noting(PeakRss, "start", "begin")
    noting(Checkpoints, "read", "read")
    noting(Checkpoints, "write", "write")
    noting(NoPropDT, "offload", "offload")
    job = job_of("noprop[T=2,execution=low_memory]", tmp_path / "cell")
    with pytest.raises(KilledError):
        run(job, die_at=7)  # three events an epoch
    assert course == ["begin", "read", *2 * ["write", "offload", "begin"]]
    course.clear()
    run(job)
    assert course == ["begin", "read", "offload", "begin", "write", "offload", "begin"]


def test_other_instructions_than_before_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = interrupted(tmp_path / "cell")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "NEW")
    _, events = run(job)
    (warning,) = [event.sentence for event in events if isinstance(event, WarningEvent)]
    assert warning.startswith("digits backprop-plain seed 3 goes on with NEW instructions after ")
    assert epochs_of(events) == [3, 4]


def test_a_rank_that_cannot_write_is_said_by_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "least", lambda self, value: min(int(value), 0))
    _, events = run(job_of(METHOD, tmp_path / "cell"))
    (warning,) = [event.sentence for event in events if isinstance(event, WarningEvent)]
    assert "has no checkpoint of epoch 1, and perhaps of later ones: " in warning
    assert warning.endswith("another rank cannot write its own")
    assert not list(tmp_path.iterdir())


def test_every_epoch_counts_whether_it_is_evaluated_or_not(tmp_path: Path) -> None:
    job = job_of(METHOD, tmp_path / "cell", eval_every=EPOCHS).model_copy(update={"checkpoint_every": 2})
    with pytest.raises(KilledError):
        run(job, die_at=6)  # two events an epoch that is not evaluated: in the fourth
    assert {path.name for path in tmp_path.iterdir()} == {"cell.2.json", "cell.2.safetensors"}


def test_where_none_can_be_written_training_goes_on_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    result, events = run(job_of(METHOD, tmp_path / "a file" / "cell"))
    (warning,) = [event.sentence for event in events if isinstance(event, WarningEvent)]
    assert "has no checkpoint of epoch 1, and perhaps of later ones: FileExistsError: " in warning
    assert epochs_of(events) == [1, 2, 3, 4]
    assert result.status == "ok"


def test_by_default_writing_takes_at_most_its_share_of_training(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "cell", None, Ranks(), "code")
    assert not checkpoints.is_due(29.0)
    assert checkpoints.is_due(2.0)  # 31 seconds in all
    checkpoints._cost, checkpoints._seconds = 1.0, 0.0
    assert not checkpoints.is_due(0.9 / COST)
    assert checkpoints.is_due(0.2 / COST)


def test_short_cells_write_none(tmp_path: Path) -> None:
    job = job_of(METHOD, tmp_path / "cell").model_copy(update={"checkpoint_every": None})
    _, events = run(job)
    assert PhaseEvent(phase="probes") in events
    assert not list(tmp_path.iterdir())


def test_peaks_are_the_larger_and_the_rise_is_over_the_first_baseline() -> None:
    before = {"peak_rss_bytes": 90, "baseline_rss_bytes": 50, "rss_rise_bytes": 40, "rss_source": "reset"}
    now = {"peak_rss_bytes": 80, "baseline_rss_bytes": 70, "rss_rise_bytes": 10, "rss_source": "reset"}
    assert merge_measured(before, now) == before
    assert merge_measured({}, now) == now


class Steps(Meter):
    """Counts what has happened since it began, as a meter of page faults would."""

    def stop(self) -> None:
        self.note(steps=1)

    def fields(self) -> dict[str, Any]:
        return {"steps": self.total("steps")}


def test_what_is_no_size_adds_up_over_all_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert merge_measured({"steps": 3}, {"steps": 4}) == {"steps": 7}
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(meters, "INSIDE", (Steps,))
    monkeypatch.setattr(cell, "stop_and_read", lambda *given: found.append(stop_and_read(*given)) or {})
    job = job_of(METHOD, tmp_path / "cell")
    with pytest.raises(KilledError):
        run(job, die_at=7)  # after two checkpoints
    run(job)
    assert found == [{"steps": EPOCHS}]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_checkpoint_that_was_read_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = interrupted(tmp_path / "cell")
    begin = PeakRss.start
    mapped: list[bool] = []

    def start(meter: PeakRss) -> None:
        begin(meter)
        mapped.append("cell.2.safetensors" in Path("/proc/self/maps").read_text())

    monkeypatch.setattr(PeakRss, "start", start)
    run(job)
    assert mapped == [False] * 3  # at first, after reading, after the third epoch
