"""A run killed inside a cell and resumed goes on from the cell's checkpoint; its row is the uninterrupted one."""

from __future__ import annotations

import signal
from pathlib import Path

from results.schema import CellResult
from results.store import read_cells
from tests.bench.harness import Plugin, finish, wait_until

CELL = ("--methods", "noprop[T=2]", "--datasets", "digits", "--seeds", "0", "--train-size", "300", "--threads", "1")
HOW = (*CELL, "--epochs", "12", "--batch-size", "32", "--checkpoint-every", "1", "--no-race")


def numbers(cell: CellResult) -> object:
    return cell.test_correct, [(e.epoch, e.train_loss, e.val_accuracy, e.diagnostics) for e in cell.epochs]


def test_a_cell_killed_in_training_goes_on_with_resume(plugin: Plugin, tmp_path: Path) -> None:
    whole = plugin.start("--out", tmp_path / "whole", *HOW)
    process = plugin.start("--out", tmp_path / "killed", *HOW)
    assert wait_until(lambda: any(tmp_path.glob("killed/*/checkpoints/*.json")), 100)
    process.send_signal(signal.SIGKILL)
    finish(process)
    (run,) = (tmp_path / "killed").iterdir()
    assert not (run / "cells.jsonl").exists()
    ended = finish(plugin.start("--resume", run), timeout=200)
    assert ended.code == 0, ended.err
    assert finish(whole, timeout=200).code == 0
    (resumed,), (reference,) = read_cells(run), read_cells(next((tmp_path / "whole").iterdir()))
    assert numbers(resumed) == numbers(reference)
    assert len(resumed.earlier_machines) == 1
    assert not (run / "checkpoints").exists()
    assert not any((tmp_path / "whole").glob("*/checkpoints"))
