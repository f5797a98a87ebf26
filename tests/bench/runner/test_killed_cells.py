"""Cells killed with SIGKILL while they train, evaluate and write checkpoints: their rows are the uninterrupted ones."""

from __future__ import annotations

import json
import platform
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from results.schema import CellResult
from results.store import read_cells
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import PROCESSES, TASKS, Plugin, finish, needs, wait_until
from tests.bench.killer import WRITING
from tests.factories import make_cell, write_run

EPOCHS = 4
CELLS = ("--datasets", "digits", "--seeds", "0", "--train-size", "200", "--batch-size", "50", "--threads", "1")
HOW = (*CELLS, "--epochs", str(EPOCHS), "--checkpoint-every", "1", "--save", "--no-race")
EVERY_STREAM = ("--augment", "standard", "--clip", "0.5", "--ema", "0.9", "--lr-schedule", "cosine")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "bench.run")

OF_THE_RUN = {"run_id", "started_at", "attempt", "earlier_machines"}
TIMES = {"train_seconds", "eval_seconds", "data_seconds", "wall_seconds", "earlier_wall_seconds", "yielded_seconds"}
TIMES |= {"images_per_second", "seconds_to"}
PEAKS = {"peak_rss_bytes", "baseline_rss_bytes", "rss_rise_bytes"}
MACHINE = {"machine", "node", "cpu_joules"}
MAY_DIFFER = OF_THE_RUN | TIMES | PEAKS | MACHINE
"""Every other field of a row is the same, to the last digit."""
LAST = "the description in place"
"""The one of `WRITING` after which the checkpoint is there."""
MAY_DIFFER_IN_EPOCHS = {"train_seconds", "eval_seconds"}


@dataclass(frozen=True)
class Kill:
    """As `tests.bench.killer` reads it."""

    method: str
    place: str
    nth: int
    seconds: float
    command: bool
    rank: int = 0


def what_stays(row: CellResult) -> dict[str, Any]:
    excluded = dict.fromkeys(MAY_DIFFER, True) | {"epochs": {"__all__": MAY_DIFFER_IN_EPOCHS}}
    return json.loads(row.model_dump_json(exclude=excluded))  # type: ignore[no-any-return,arg-type]


def draw_kills(
    places: Sequence[str], rows: Sequence[CellResult], chance: random.Random, ranks: int
) -> tuple[list[Kill], dict[str, int]]:
    """Kills at random moments at those places, dealt out to the cells in turn.

    Returns:
        The kills, and for each method in how many of its processes that are killed a checkpoint is written.
    """
    waiting, kills = list(places), []
    trained = {row.method: row for row in rows if row.trained_with in (None, row.method)}
    done, parts = dict.fromkeys(trained, 0), dict.fromkeys(trained, 0)
    while waiting:
        for method, row in trained.items():
            before = done[method]
            fitting = [k for k, place in enumerate(waiting) if place not in WRITING or before < EPOCHS - 1]
            if not fitting:
                continue
            place = waiting.pop(fitting[0])
            least = before + 1 if parts[method] or place == LAST else max(before + 1, 2)  # after a checkpoint
            epoch = chance.randint(least, EPOCHS - 1 if waiting or place in WRITING else EPOCHS)
            done[method] = epoch if place == LAST else epoch - 1
            parts[method] += done[method] > before
            seconds = {"training": row.train_seconds, "evaluation": row.eval_seconds}.get(place) or 0.0
            kills.append(
                Kill(
                    method=method,
                    place=place,
                    nth=epoch - before,
                    seconds=chance.random() * seconds / EPOCHS,
                    command=chance.random() < 0.4,
                    rank=0 if place == "evaluation" else chance.randrange(ranks),
                )
            )
    return kills, parts


class Killing:
    """A run, and the same run with kills."""

    def __init__(self, plugin: Plugin, folder: Path, start: Sequence[str], request: Sequence[str]) -> None:
        self._plugin, self._start, self._request = plugin, start, request
        self._whole, self._killed = folder / "whole" / "runs", folder / "killed" / "runs"

    def run_whole(self) -> list[CellResult]:
        """Its rows."""
        process = self._plugin.start_program([*self._start, *self._request, "--out", str(self._whole)])
        ended = finish(process, timeout=1200)
        assert ended.code == 0, ended.err
        return read_cells(next(self._whole.iterdir()))

    def kill(self, kills: Sequence[Kill]) -> list[str]:
        """Run it, being killed, and go on until it has ended; what the commands printed."""
        self._killed.parent.mkdir()
        for number, kill in enumerate(kills):
            (self._killed.parent / f"kill.{number:02}.json").write_text(json.dumps(asdict(kill)))
        retries = ("--retries", "20")
        process = self._plugin.start_program([*self._start, *self._request, *retries, "--out", str(self._killed)])
        printed = []
        for _ in range(len(kills) + 1):
            ended = finish(process, timeout=600)
            printed += ended.lines
            if ended.code == 0:
                break
            assert ended.code in (-signal.SIGKILL, 1), ended.err  # 1: torchrun's, when a command is killed
            assert wait_until(lambda: not self._plugin.processes(), 20), "a process outlived the command"
            process = self._plugin.start_program([*self._start, "--resume", str(next(self._killed.iterdir()))])
        assert ended.code == 0, ended.err
        assert not list(self._killed.parent.glob("kill.*")), "a process was not killed"
        return printed

    def check(self, parts: dict[str, int], kills: Sequence[Kill] = ()) -> None:
        """Rows and saved models are the same, and no checkpoint is left.

        A cell was trained in as many parts as foreseen, or in more, where a kill came later than foreseen and thus
        after a checkpoint, since the process was faster than the one by which the moment was drawn.
        """
        (whole,), (killed,) = self._whole.iterdir(), self._killed.iterdir()
        rows = {row.method: row for row in read_cells(killed)}
        for reference in read_cells(whole):
            row = rows.pop(reference.method)
            assert row.status == reference.status == "ok"
            ours, theirs = what_stays(row), what_stays(reference)
            assert {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]} == {}, row.method
            method = row.trained_with or row.method
            most = max(parts[method], sum(kill.method == method for kill in kills))
            assert parts[method] <= len(row.earlier_machines) <= most, row.method
            has_a_name = bool(row.earlier_machines) or row.launcher != "local"
            assert row.node == (platform.node() if has_a_name else None), row.method
            assert row.model_file is not None
            model, other = (load_file(folder / row.model_file) for folder in (killed, whole))
            assert [name for name in other if model[name].tobytes() != other[name].tobytes()] == []
        assert not rows
        assert not (killed / "checkpoints").exists()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Plugin]:
    """With everything that methods import."""
    made = Plugin(tmp_path / "plugin", stand_ins=False)
    yield made
    made.clean_up()


RUN = (sys.executable, "-m", "bench.run")
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...], int]] = {
    "every stream": (
        RUN,
        (
            "noprop[T=2,execution=in_turn],noprop[T=2,execution=in_turn,sampler=mean],"
            "noprop[T=2,execution=together],backprop[T=2],noprop-ct,difference-target-propagation",
            *EVERY_STREAM,
        ),
        9,
    ),
    "two threads": (RUN, ("noprop[T=2,execution=concurrent]", "--threads", "2", *EVERY_STREAM), 2),
    "plain": (RUN, ("noprop[T=2,execution=low_memory],adjoint",), 4),
    "two ranks": (TORCHRUN, ("noprop[T=2],backprop[T=2]", "--parallel", "blocks", "--device", "cpu"), 5),
}
"""How to start a run, its methods and other flags, and how often to kill; 20 times in all."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", GROUPS)
def test_twenty_kills_at_random_moments(name: str, real: Plugin, tmp_path: Path) -> None:
    start, (methods, *flags), _ = GROUPS[name]
    chance = random.Random(18)
    writing = [place for place in WRITING if place != LAST]
    chance.shuffle(writing)
    places = [LAST]  # not for ranks: who knows whether the other has come as far?
    while len(places) < 20:  # every group is killed at all kinds of them
        places += chance.sample(kinds := [*writing[:1], "training", "evaluation"], k=len(kinds))
        del writing[:1]
    counts = [count for _, _, count in GROUPS.values()]
    first = sum(counts[: list(GROUPS).index(name)])
    assert sum(counts) == len(places) == 20
    assert set(WRITING) <= set(places)
    killing = Killing(real, tmp_path, start, ("--methods", methods, *HOW, *flags))
    rows = killing.run_whole()
    mine = places[first : first + GROUPS[name][2]]
    kills, parts = draw_kills(mine, rows, chance, ranks=2 if name == "two ranks" else 1)
    assert min(parts.values()) > 0
    printed = killing.kill(kills)
    assert [line for line in printed if "starts anew" in line or "no checkpoint" in line] == []
    killing.check(parts, kills)


def test_a_cell_killed_twice_goes_on(plugin: Plugin, tmp_path: Path) -> None:
    """In training, with the command, which is resumed; then half-way through a checkpoint, which is tried again."""
    method = "noprop[T=2]"
    killing = Killing(plugin, tmp_path, RUN, ("--methods", method, *HOW))
    killing.run_whole()
    killing.kill([Kill(method, "training", 3, 0.01, True), Kill(method, "half the tensors", 1, 0.0, False)])
    killing.check({method: 1})


@pytest.mark.parametrize(
    "launcher",
    [pytest.param(PROCESSES, marks=needs("submitit"), id="slurm"), pytest.param(TASKS, marks=needs("ray"), id="ray")],
)
def test_a_job_of_a_launcher_goes_on_from_its_checkpoint(
    plugin: Plugin, tmp_path: Path, launcher: tuple[str, ...]
) -> None:
    """Its process is killed in training and half-way through a checkpoint; the next job has what was kept."""
    method = "noprop[T=2]"
    killing = Killing(plugin, tmp_path, RUN, ("--methods", method, *HOW, *launcher))
    killing.run_whole()
    killing.kill([Kill(method, "training", 3, 0.01, False), Kill(method, "half the tensors", 1, 0.0, False)])
    killing.check({method: 1})


def test_what_a_command_that_was_killed_after_its_last_row_left_is_removed(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", [make_cell()])
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "cell.1.json").touch()
    assert command("--resume", run).code == 0
    assert not (run / "checkpoints").exists()
