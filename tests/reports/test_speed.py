"""A report on ten thousand cells is built while one waits."""

from __future__ import annotations

import json
import time
from pathlib import Path

from reports.build import build_report
from results.store import CELLS_FILE, encode
from tests.factories import PROFILES, make_cell, make_config, make_run, whole, write_run

METHODS = [*PROFILES, *(f"noprop[eta={k}]" for k in range(6))]
DATASETS = ["mnist", "cifar10"]
SEEDS = 500
DIFFERENT = 25
"""Seeds with numbers of their own; the others repeat these, since making cells takes longer than reporting them."""
LIMIT_SECONDS = 20.0
"""Of processor time, on a machine that parses the results as JSON in `PARSE_SECONDS`: an ordinary one, not busy."""
PARSE_SECONDS = 2.0


def slowness(cells: Path) -> float:
    """How many times slower than an ordinary one this machine is at the moment; never below 1."""
    start = time.process_time()
    with cells.open("rb") as file:
        for line in file:
            json.loads(line)
    return max(1.0, (time.process_time() - start) / PARSE_SECONDS)


def write_ten_thousand(folder: Path) -> Path:
    some = [
        make_cell(method, dataset, seed, diagnostics=True, credit="gradients")
        for dataset in DATASETS
        for method in METHODS
        for seed in range(DIFFERENT)
    ]
    record = make_run(
        [
            cell.model_copy(update={"seed": seed, "epochs": [], "config": make_config(options=cell.config.options)})
            for cell in some
            for seed in range(cell.seed, SEEDS, DIFFERENT)
        ]
    )
    run = write_run(folder, some, record)
    with (run / CELLS_FILE).open("wb") as file:
        for cell in some:
            file.writelines(
                encode(cell.model_copy(update={"seed": seed})) for seed in range(cell.seed, SEEDS, DIFFERENT)
            )
    return run


def test_ten_thousand_cells_take_less_than_twenty_seconds(tmp_path: Path) -> None:
    run = write_ten_thousand(tmp_path / "run")
    assert (run / CELLS_FILE).read_bytes().count(b"\n") == 10_000
    slow = slowness(run / CELLS_FILE)
    start = time.process_time()
    report = build_report(run)
    spent = time.process_time() - start
    assert "10,000 of 10,000 cells finished" in whole(report)
    assert spent < LIMIT_SECONDS * slow, f"{spent:.1f} s on a machine {slow:.1f} times as slow as an ordinary one"
