"""Which cells share a training, and what a run does with them."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.children.protocol import EVENT, RESULT, Job, ResultEvent, SharedResult, rows_of
from bench.planning.plan import make_plan
from bench.planning.sharing import group_by_training, share_trainings
from bench.runner import race, turns
from bench.runner.race import Heat, race_methods
from results.schema import PlannedCell
from results.store import CELLS_FILE, read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import SMALL
from tests.factories import make_cell, make_environment

SAMPLERS = "noprop[T=2],backprop[T=2],noprop[T=2,sampler=mean],noprop[T=2,sampler=replace,samples=4]"
ARGUMENTS = ("--methods", SAMPLERS, "--seeds", "0,1", *SMALL)


def shared(methods: str, seeds: tuple[int, ...] = (0,)) -> list[PlannedCell]:
    plan = make_plan(
        methods=methods,
        datasets=("digits",),
        preset="quick",
        seeds=seeds,
        device="cpu",
        threads=1,
        low_memory="low_memory" in methods,
    )
    return share_trainings(plan)


@pytest.mark.parametrize(
    ("methods", "trained_with"),
    [
        (SAMPLERS, ["noprop[T=2]", None, "noprop[T=2]", "noprop[T=2]"]),
        ("noprop,noprop[T=2,sampler=mean]", [None, None]),
        ("noprop,noprop[eta=1,sampler=mean]", [None, None]),
        ("noprop-ct[steps=5],noprop-ct[solver=euler],noprop-ct[readout=sample]", ["noprop-ct[steps=5]"] * 3),
        ("adjoint[steps=5],adjoint", [None, None]),  # which is trained through its solver
        ("adjoint[samples=5],adjoint", ["adjoint[samples=5]"] * 2),
        ("noprop-attached,noprop-attached[sampler=mean]", [None, None]),  # which is trained on sampled chains
        ("noprop-ct,noprop-fm", [None, None]),
        ("noprop[execution=low_memory],noprop[execution=low_memory,sampler=mean],noprop", [0, 0, None]),
    ],
)
def test_cells_that_differ_at_inference_alone_share_one_training(
    methods: str, trained_with: list[str | int | None]
) -> None:
    cells = shared(methods)
    assert [cell.trained_with for cell in cells] == [cells[0].method if one == 0 else one for one in trained_with]


def test_the_same_method_trains_at_every_seed_and_trains_first() -> None:
    cells = shared(SAMPLERS, seeds=(0, 1, 2, 3))
    assert {cell.trained_with for cell in cells} == {None, "noprop[T=2]"}
    groups = group_by_training(cells)
    assert [len(group) for group in groups].count(3) == 4
    assert {group[0].method for group in groups} == {"noprop[T=2]", "backprop[T=2]"}
    assert all(len({(cell.seed, cell.dataset) for cell in group}) == 1 for group in groups)


def test_a_run_trains_once_and_keeps_a_row_of_each(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    ended = command("--out", tmp_path, *ARGUMENTS)
    assert ended.code == 0
    assert len(cells.started) == 4
    assert sorted(len(job.variants) for job in cells.jobs) == [0, 0, 2, 2]
    (run,) = tmp_path.iterdir()
    rows = read_cells(run)
    assert {row.key for row in rows} == {cell.key for cell in read_run(run).cells}
    assert len(rows) == 8
    assert sorted(line.split("]")[0] for line in ended.lines if "test accuracy" in line) == [
        f"[{number}/8" for number in range(1, 9)
    ]


def test_all_rows_of_a_failed_training_are_failures(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    cells.failing = {"noprop[T=2]"}
    ended = command("--out", tmp_path, *ARGUMENTS, "--retries", "1")
    assert ended.code == 1
    assert len(cells.started) == 2 * 2 + 2
    (run,) = tmp_path.iterdir()
    rows = read_cells(run)
    assert {row.method for row in rows if row.status == "ok"} == {"backprop[T=2]"}
    assert len(rows) == 8
    assert all(row.config.options["sampler"] in row.method for row in rows if "sampler" in row.method)
    assert sum(line.startswith("failed: ") for line in ended.lines) == 6


def test_a_training_with_a_missing_row_is_run_again_with_all_its_rows(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    command("--out", tmp_path, *ARGUMENTS)
    (run,) = tmp_path.iterdir()
    lines = (run / CELLS_FILE).read_text().splitlines(keepends=True)
    (run / CELLS_FILE).write_text(
        "".join(line for line in lines if "sampler=replace" not in line or '"seed":1' in line)
    )
    cells.started.clear()
    cells.jobs.clear()
    assert command("--resume", run).code == 0
    assert cells.started == [("digits", "noprop[T=2]", 0)]
    assert [cell.method for cell in cells.jobs[0].variants] == [
        "noprop[T=2,sampler=mean]",
        "noprop[T=2,sampler=replace,samples=4]",
    ]
    assert len(read_cells(run)) == 8


def test_rows_survive_the_way_from_a_worker(tmp_path: Path) -> None:
    cell, _, *variants = shared(SAMPLERS)
    job = Job(run_id="x", cell=cell, variants=variants, data_dir=None, environment=make_environment())
    rows = [
        make_cell(each.method, "digits", config=each.config, trained_with=cell.method) for each in (cell, *variants)
    ]
    rows[1].epochs[-1] = rows[1].epochs[-1].model_copy(update={"grad_norm_max": math.inf})
    own = [{"test_accuracy": row.test_accuracy, "epochs": row.epochs} for row in rows[1:]]
    sent = SharedResult(**dict(rows[0]), variants=own)
    for received in (
        RESULT.validate_json(sent.model_dump_json()),
        EVENT.validate_json(ResultEvent(result=sent).model_dump_json()).result,
    ):
        found = rows_of(job, received.model_copy(update={"attempt": 2}))
        assert [(row.method, row.config, row.test_accuracy, row.epochs, row.attempt) for row in found] == [
            (row.method, row.config, row.test_accuracy, row.epochs, 2) for row in rows
        ]


def test_a_race_times_one_of_those_that_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []

    def fake_round(self: turns.Pairs, number: int, *_: object, **__: object) -> None:
        timed.append(self.method)
        self.steps = self.reference_steps = 1
        self.quiet += [turns.Pair(number, 1.0, 1.0)] * 4
        self.number += 4

    monkeypatch.setattr(race, "_ready", lambda *_: nullcontext((None, None, (1.0, 1.0))))
    monkeypatch.setattr(turns.Pairs, "take_round", fake_round)
    noprop, backprop, *others = shared(SAMPLERS)
    found = race_methods(Heat(backprop, [noprop, *others]), None)
    assert timed == ["noprop[T=2]"] * turns.rounds_in(turns.SECONDS)
    assert [each.method for each in found.methods] == [noprop.method, *(cell.method for cell in others)]
