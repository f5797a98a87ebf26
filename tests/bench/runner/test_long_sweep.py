"""A sweep of 200 cells: the harness grows no fatter with them, and nothing that it started outlives it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from bench.children.protocol import PhaseEvent, ResultEvent
from bench.planning.sharing import group_by_training
from bench.runner import sweep
from bench.runner.progress import LineDisplay
from results.schema import PlannedCell
from results.store import append_cell, create_run, read_cells
from tests.factories import make_cell, make_environment, make_run

CELLS = 200
MIB = 2**20
WORKER = """#!/bin/sh
read job
seed=$(echo "$job" | sed 's/.*"method_name":"backprop","seed":\\([0-9]*\\).*/\\1/')
sleep 600 &
cat "{folder}/training"
sed "s/\\"seed\\":0/\\"seed\\":$seed/" "{folder}/result"
"""


class Sizes(LineDisplay):
    """Notes the size of this process after each cell."""

    def __init__(self) -> None:
        super().__init__(CELLS, 0)
        self.resident: list[int] = []
        self.threads: list[int] = []
        self.files: list[int] = []

    def cell_started(self, cell: PlannedCell, *variants: PlannedCell) -> None:
        """Note it."""
        super().cell_started(cell, *variants)
        us = psutil.Process()
        self.resident.append(us.memory_info().rss)
        self.threads.append(us.num_threads())
        self.files.append(us.num_fds() if hasattr(us, "num_fds") else 0)


def test_memory_stays_flat_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real launching, following and storing; the worker is a script that answers at once and leaves a child."""
    one = make_cell(epochs=20, diagnostics=True)
    (tmp_path / "result").write_text(ResultEvent(result=one).model_dump_json() + "\n")
    (tmp_path / "training").write_text(PhaseEvent(phase="training").model_dump_json() + "\n")
    worker = tmp_path / "worker"
    worker.write_text(WORKER.format(folder=tmp_path))
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))
    monkeypatch.setattr(sweep, "describe_environment", lambda device: make_environment())
    cells = [make_cell(seed=seed) for seed in range(CELLS)]
    record = make_run(cells)
    create_run(tmp_path / "run", record)

    monkeypatch.setenv("SWEEP", str(tmp_path))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    sizes = Sizes()
    sweep.run_cells(
        group_by_training(record.cells),
        partial(append_cell, tmp_path / "run"),
        sizes,
        run_id=record.run_id,
        data_dir=None,
    )

    assert sorted(row.seed for row in read_cells(tmp_path / "run")) == list(range(CELLS))
    early, late = sizes.resident[CELLS // 4], sizes.resident[-1]
    assert late - early < 8 * MIB
    assert max(sizes.threads[CELLS // 4 :]) <= max(sizes.threads[: CELLS // 4])
    assert max(sizes.files[CELLS // 4 :]) <= max(sizes.files[: CELLS // 4])
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert [process for process in psutil.process_iter() if _was_started_in(process, tmp_path)] == []


def _was_started_in(process: psutil.Process, folder: Path) -> bool:
    """Whether it is one of the scripts' orphans, known by the mark that they leave in its environment."""
    try:
        return process.environ().get("SWEEP") == str(folder) and process.pid != psutil.Process().pid
    except psutil.Error:
        return False
