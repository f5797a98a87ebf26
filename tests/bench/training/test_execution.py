"""A cell's ways to carry out its training, from the request to the row, on real digits, augmented."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.children.protocol import Job
from bench.planning.plan import make_plan
from bench.training.cell import run_cell
from reports.build import build_report
from results.conditions import AugmentationRecord
from results.schema import CellResult
from tests.factories import make_environment, make_run, whole, write_run

REQUEST: dict[str, Any] = {
    "methods": "noprop,noprop[execution=together],backprop",
    "datasets": ("digits",),
    "preset": "quick",
    "seeds": (0,),
    "epochs": 2,
    "batch_size": 20,
    "train_size": 60,
    "device": "cpu",
    "threads": torch.get_num_threads(),
    "settings": {"T": "2"},
    "data_dir": None,
    "low_memory": True,
    "augment": "standard",
}


def rows_of(request: dict[str, Any], folder: Path) -> dict[str, CellResult]:
    """Run the cells here, models kept in a folder; by label."""
    found = {}
    for cell in make_plan(**request):
        job = Job(run_id="run", cell=cell, data_dir=None, save_in=str(folder), environment=make_environment())
        row = run_cell(job, lambda event: None)
        found[row.method] = row.model_copy(update={"model_file": str(folder / (row.model_file or ""))})
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CellResult]:
    """`noprop` in each way, and `backprop`."""
    return rows_of(REQUEST, tmp_path_factory.mktemp("models"))


def test_each_way_is_a_row_that_says_which(rows: dict[str, CellResult]) -> None:
    assert {label: row.execution for label, row in rows.items()} == {
        "noprop[T=2]": "in_turn",
        "noprop[T=2,execution=low_memory]": "low_memory",
        "noprop[T=2,execution=together]": "together",
        "backprop[T=2]": None,
    }


def test_low_memory_has_the_same_result(rows: dict[str, CellResult]) -> None:
    usual, low = rows["noprop[T=2]"], rows["noprop[T=2,execution=low_memory]"]
    for field in ("val_accuracy", "test_accuracy", "parameters", "parameter_bytes", "optimizer_bytes"):
        assert getattr(usual, field) == getattr(low, field), field
    assert usual.train_flops_per_image == low.train_flops_per_image
    assert usual.activation_bytes == low.activation_bytes
    for ours, theirs in zip(usual.epochs, low.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-5)
        assert ours.diagnostics == theirs.diagnostics
    assert usual.model_file is not None
    assert low.model_file is not None
    ours, theirs = load_file(usual.model_file), load_file(low.model_file)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_together_does_the_same_work_and_holds_more(rows: dict[str, CellResult]) -> None:
    usual, together = rows["noprop[T=2]"], rows["noprop[T=2,execution=together]"]
    assert usual.train_flops_per_image == pytest.approx(together.train_flops_per_image)
    assert usual.optimizer_bytes == pytest.approx(together.optimizer_bytes, rel=1e-4)  # fewer counters of steps
    assert usual.activation_bytes is not None
    assert together.activation_bytes is not None
    assert together.activation_bytes > 1.5 * usual.activation_bytes
    assert (usual.activation_bytes_in_turn, together.activation_bytes_in_turn) == (None, usual.activation_bytes)


def test_the_report_says_which_way_was_taken(rows: dict[str, CellResult], tmp_path: Path) -> None:
    planned = make_run(list(rows.values()))
    cells = [row.model_copy(update={"run_id": planned.run_id, "model_file": None}) for row in rows.values()]
    report = whole(build_report(write_run(tmp_path / "run", cells, planned)))
    assert "`noprop[T=2]`: `in_turn`; `noprop[T=2,execution=low_memory]`: `low_memory`" in report
    assert "| amp " in report
    assert "`noprop[T=2,execution=together]` trained several parts at a time (`together`), and its activation" in report


def test_augmentation_is_in_the_row_and_in_the_report_and_makes_a_difference(
    rows: dict[str, CellResult], tmp_path: Path
) -> None:
    augmented = {label: row.data.augmentation for label, row in rows.items() if row.data}
    assert augmented == dict.fromkeys(rows, AugmentationRecord(shift=(1, 1), flip=False))
    (plain,) = rows_of(REQUEST | {"methods": "backprop", "low_memory": False, "augment": "none"}, tmp_path).values()
    assert plain.data is not None
    assert plain.data.augmentation is None
    ours = rows["backprop[T=2]"]
    assert ours.data is not None
    assert ours.data.fingerprint == plain.data.fingerprint
    assert ours.epochs[0].train_loss != plain.epochs[0].train_loss

    def report_of(row: CellResult) -> str:
        cell = row.model_copy(update={"model_file": None})
        run = write_run(tmp_path / row.config.augment, [cell], make_run([cell], run_id=cell.run_id))
        return whole(build_report(run))

    with_it, without = report_of(ours), report_of(plain)
    assert re.search(r"^\| augmentation +\| shifts of up to 1 × 1 pixels +\|$", with_it, re.MULTILINE)
    assert re.search(r"^\| augment +\| standard +\|$", with_it, re.MULTILINE)
    assert "Augmentation" in with_it
    assert "ugmentation" not in without
    assert re.search(r"^\| augment +\| none +\|$", without, re.MULTILINE)
