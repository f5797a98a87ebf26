"""`from bench import run_cells, load_results`: what a notebook gives, gets and is told."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench
from bench import UserError, load_results, run_cells
from results.schema import CellResult, Margins
from results.store import CELLS_FILE, read_cells, read_run
from tests.bench.commandline.test_help import SLOW
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import PROJECT
from tests.factories import make_cell, make_failed_cell, write_run

SHORT: dict[str, Any] = {"threads": 1, "train_size": 60}


@pytest.fixture(autouse=True)
def a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a notebook's kernel was started with, and a working folder of its own."""
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.chdir(tmp_path)


def the_run(out: Path = Path("results/runs")) -> Path:
    (folder,) = out.iterdir()
    return folder


def test_the_readme_s_example_runs_as_it_stands(tmp_path: Path) -> None:
    text = (PROJECT / "bench" / "README.md").read_text()
    (example,) = re.findall(r"^## In a notebook\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, "-"],
        input=example,
        cwd=tmp_path,
        # Threads that spin while they wait would take a busy machine's cores from one another.
        env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "results" / "runs")
    assert (run / "report.md").is_file()
    cells = read_cells(run)
    printed = {name: float(mean) for name, mean in re.findall(r"^(\S+) +(\d\.\d+)$", ended.stdout, re.MULTILINE)}
    accuracy = {cell.key: cell.test_accuracy or 0.0 for cell in cells}
    assert printed == {
        method: pytest.approx((accuracy["digits", method, 0] + accuracy["digits", method, 1]) / 2, abs=1e-5)
        for method in ("noprop[T=2]", "backprop[T=2]")
    }
    assert ended.stdout.splitlines()[-1] == str(max(epoch.val_accuracy for cell in cells for epoch in cell.epochs))


def test_importing_it_imports_nothing_slow() -> None:
    code = f"""
import sys, bench
from bench import UserError, load_results, run_cells
print(*(name for name in {("pydantic", *SLOW)} if name in sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"


def test_a_run_is_a_row_a_cell_and_is_kept_as_ever(cells: FakeCells) -> None:
    found = run_cells(["noprop[T=2,sampler=mean]", "backprop-plain"], "digits", seeds=(0, 1), epochs=2, **SHORT)
    run = the_run()
    assert found["run_id"].unique().tolist() == [run.name]
    assert list(zip(found.dataset, found.method, found.seed, strict=True)) == cells.started
    assert found["test_accuracy"].tolist() == [cell.test_accuracy for cell in read_cells(run)]
    assert set(found["config.epochs"]) == {2}
    pd.testing.assert_frame_equal(load_results(run.name), found)
    assert (run / "report.md").exists()


def test_the_command_on_record_does_the_same(cells: FakeCells, command: Command, tmp_path: Path) -> None:
    run_cells(
        "noprop,backprop-plain",
        seeds=range(2),
        lr=0.01,
        batch_size=16,
        amp=True,
        low_memory=False,
        set={"T": 3, "embedding": "learned", "embedding_dim": None},
        retries=1,
        margin_time=8,
        timeout=None,
        out=tmp_path / "one",
        **SHORT,
    )
    ours = read_run(the_run(tmp_path / "one"))
    start, words = shlex.split(ours.command)[:3], shlex.split(ours.command)[3:]
    assert start == ["python", "-m", "bench.run"]
    assert "--amp" in words
    assert "--no-low-memory" in words
    assert command(*words, "--out", tmp_path / "two").code == 0
    again = read_run(the_run(tmp_path / "two"))
    assert again.cells == ours.cells
    assert (again.retries, again.timeout_seconds) == (ours.retries, ours.timeout_seconds) == (1, None)
    assert again.margins == ours.margins == Margins(accuracy_points=0.5, time=0.08, memory=0.05)
    assert ours.cells[0].config.options["T"] == 3


def test_progress_is_lines_on_standard_error(cells: FakeCells, capsys: pytest.CaptureFixture[str]) -> None:
    run_cells("backprop-plain", seeds=0, **SHORT)
    out, err = capsys.readouterr()
    assert err.startswith("[1/1] digits backprop-plain seed 0: test accuracy ")
    assert out.splitlines()[-1] == str(the_run() / "report.md")


def test_failed_cells_are_rows_too(cells: FakeCells) -> None:
    cells.failing = {"backprop-plain"}
    found = run_cells("backprop-plain,noprop", seeds=0, **SHORT).set_index("method")
    assert found["status"].to_dict() == {"backprop-plain": "error", "noprop": "ok"}
    assert found.loc["backprop-plain", "error"] == "loss is not finite"
    assert pd.isna(found.loc["backprop-plain", "test_accuracy"])


def test_interrupting_keeps_finished_cells_and_resume_goes_on(
    cells: FakeCells, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.stop = {"noprop": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt, match="resume="):
        run_cells("backprop-plain,noprop", seeds=0, **SHORT)
    assert "1 of 2 cells are finished and kept" in capsys.readouterr().err
    run = the_run()
    assert load_results(run)["method"].tolist() == ["backprop-plain"]
    cells.stop = {}
    assert run_cells(resume=run.name)["method"].tolist() == ["backprop-plain", "noprop"]
    assert [key[1] for key in cells.started] == ["backprop-plain", "noprop", "noprop"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"epoch": 2}, "run_cells has no argument 'epoch' (did you mean 'epochs'?)"),
        ({"list": True}, "run_cells has no argument 'list'"),
        ({"methods": "noprob"}, "unknown method 'noprob' (did you mean 'noprop'?)"),
        ({"epochs": 0}, "'0' is not a whole number from 1 to"),
        ({"epochs": True}, "'true' is not a whole number from 1 to"),
        ({"seeds": ()}, "has an empty item"),
        ({"amp": "yes"}, "amp='yes' is not accepted: give True or False"),
        ({"set": {"no_such_option": 1}}, "no_such_option"),
        ({"resume": "nowhere"}, "there is no run 'nowhere'"),
        ({"config": Path("nowhere.toml")}, "nowhere.toml"),
        ({"config": [Path("nowhere.toml")]}, "nowhere.toml"),
        ({"set": 5}, "'5' is not an option"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_nothing_is_written(
    cells: FakeCells, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        run_cells(**arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert list(Path.cwd().iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(cells: FakeCells, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot write results to"):
        run_cells("backprop-plain", out="taken", **SHORT)


def test_under_torchrun_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"torchrun -m bench\.run"):
        run_cells("backprop-plain")


def written(*cells: CellResult) -> Path:
    return write_run(Path("results/runs/kept"), cells)


def test_results_are_flat_columns_with_the_schema_s_names() -> None:
    cell = make_cell("noprop[T=20]", seconds_to={"0.90": 1.5})
    written(cell, make_failed_cell())
    found = load_results("kept").set_index("method")
    ok = found.loc["noprop[T=20]"]
    assert (ok["config.options.T"], ok["data.n_train"], ok["seconds_to.0.90"]) == (20, 55_000, 1.5)
    assert ok["environment.torch"] == cell.environment.torch
    scalars = {name for name in CellResult.model_fields if isinstance(getattr(cell, name), int | float | str)}
    assert scalars <= {"method", *found.columns}
    # Nothing nested is left, in the failed cell's row either.
    assert not {"data", "machine", "config", "environment", "epochs"} & set(found.columns)
    assert not any(isinstance(value, dict) for row in found.to_numpy() for value in row)


def test_epochs_are_rows_of_their_own() -> None:
    written(make_cell(epochs=2, diagnostics=True), make_cell("noprop", epochs=3))
    found = load_results(Path("results/runs/kept"), epochs=True)
    assert found.groupby("method", sort=False).size().to_dict() == {"backprop": 2, "noprop": 3}
    assert found.groupby("method")["elapsed_seconds"].is_monotonic_increasing.all()
    assert "diagnostics" not in found


def test_a_run_in_another_folder_is_found_by_its_name() -> None:
    write_run(Path("elsewhere/kept"), [make_cell()])
    assert len(load_results("kept", "elsewhere")) == 1


def test_a_run_without_a_finished_cell_has_no_rows_but_columns() -> None:
    (written(make_cell()) / CELLS_FILE).unlink()
    found = load_results("kept")
    assert len(found) == 0
    assert {"method", "test_accuracy"} <= set(found.columns)
    assert len(load_results("kept", epochs=True)) == 0


@pytest.mark.parametrize("name", ["nowhere", "no-run", "damaged"])
def test_results_that_cannot_be_read_are_one_sentence(name: str) -> None:
    Path("results/runs/no-run").mkdir(parents=True)
    damaged = write_run(Path("results/runs/damaged"), [make_cell()]) / CELLS_FILE
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(UserError, match=name):
        load_results(name)


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        bench.no_such_name  # noqa: B018
