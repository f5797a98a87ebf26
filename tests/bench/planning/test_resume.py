"""`--resume`: what is done again, what is refused, and what is left exactly as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import datasets
from results.schema import CellResult
from results.store import CELLS_FILE, RUN_FILE, read_cells
from tests.bench.conftest import Command
from tests.bench.datasets.files import colour, write_cifar_archive
from tests.bench.fakes import FakeCells
from tests.bench.harness import SMALL
from tests.factories import make_cell, make_config, make_failed_cell, make_run, write_run

CONFIG = make_config(
    preset="quick",
    epochs=5,
    train_size=60,
    threads=1,
    device="cpu",
    options={"features": "mean", "network": "cnn", "mlp_of": "dfa"},
    lr=0.25,
    weight_decay=0.5,
    optimizer="AdamW",
)


def row(seed: int, *, ok: bool = True, **changes: Any) -> CellResult:
    config = CONFIG.model_copy(update=changes)
    make = make_cell if ok else make_failed_cell
    return make("backprop-plain", "digits", seed, config=config)


def a_run(folder: Path, *, planned: list[CellResult], rows: list[CellResult]) -> Path:
    return write_run(folder / "run", rows, make_run(planned))


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """Seeds 0 and 2 are finished, 1 has failed, 3 was not reached."""
    rows = [row(0), row(1, ok=False), row(2)]
    return a_run(tmp_path, planned=[row(seed) for seed in range(4)], rows=rows)


def key(seed: int) -> tuple[str, str, int]:
    return ("digits", "backprop-plain", seed)


def test_does_failed_and_unfinished_cells_once(command: Command, cells: FakeCells, half_done: Path) -> None:
    kept = (half_done / CELLS_FILE).read_bytes()
    assert command("--resume", half_done).code == 0
    assert cells.started == [key(1), key(3)]
    assert (half_done / CELLS_FILE).read_bytes().startswith(kept)
    assert sorted(cell.key for cell in read_cells(half_done)) == [key(seed) for seed in range(4)]
    assert {cell.status for cell in read_cells(half_done)} == {"ok"}


def test_a_run_from_before_a_method_was_renamed_goes_on(command: Command, cells: FakeCells, half_done: Path) -> None:
    record = half_done / RUN_FILE
    record.write_text(record.read_text().replace("backprop-plain", "backprop-cnn"))
    assert command("--resume", half_done, "--methods", "backprop-cnn").code == 0
    assert cells.started == [key(1), key(3)]
    assert len(read_cells(half_done)) == 4


def test_keeps_the_settings_of_the_run(command: Command, cells: FakeCells, half_done: Path) -> None:
    command("--resume", half_done)
    assert [job.cell.config for job in cells.jobs] == [CONFIG, CONFIG]


def test_counts_on_from_what_is_done(command: Command, cells: FakeCells, half_done: Path) -> None:
    ended = command("--resume", half_done)
    assert [line.split("]")[0] for line in ended.lines] == ["[3/4", "[4/4"]


def test_a_cell_that_fails_again(command: Command, cells: FakeCells, half_done: Path) -> None:
    cells.failing = {"backprop-plain"}
    assert command("--resume", half_done).code == 1
    assert [cell.status for cell in read_cells(half_done)].count("ok") == 2


def test_by_name_in_the_output_folder(command: Command, cells: FakeCells, half_done: Path) -> None:
    assert command("--out", half_done.parent, "--resume", half_done.name).code == 0
    assert cells.started == [key(1), key(3)]


def test_a_finished_run_only_gets_its_report_again(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    run = a_run(tmp_path, planned=[row(0)], rows=[row(0)])
    ended = command("--resume", run)
    assert ended.code == 0
    assert cells.started == []
    assert ended.out.splitlines()[-1] == str(run / "report.md")


OWN = [
    ("--methods", "backprop-plain"),
    ("--datasets", "digits"),
    ("--preset", "quick"),
    ("--seeds", "3,2,1,0"),
    ("--epochs", "5"),
    ("--batch-size", "128"),
    ("--lr", "0.25"),
    ("--weight-decay", "0.5"),
    ("--train-size", "60"),
    ("--device", "cpu"),
    ("--device", "auto"),
    ("--threads", "1"),
    ("--jobs", "1"),
    ("--retries", "0"),
    ("--margin-accuracy", "0.5"),
    ("--margin-time", "5"),
    ("--augment", "none"),
]
OTHER = [
    (
        "--methods",
        "backprop-plain,backprop",
        "--methods (the run has backprop-plain, given is backprop, backprop-plain)",
    ),
    ("--set", "T=1", "--set (the run has none, given is T=1)"),
    ("--datasets", "mnist", "--datasets (the run has digits, given is mnist)"),
    ("--preset", "standard", "--preset (the run has quick, given is standard)"),
    ("--seeds", "0,1", "--seeds (the run has 0, 1, 2, 3, given is 0, 1)"),
    ("--epochs", "6", "--epochs (the run has 5, given is 6)"),
    ("--batch-size", "64", "--batch-size (the run has 128, given is 64)"),
    ("--lr", "0.5", "--lr (the run has 0.25, given is 0.5)"),
    ("--weight-decay", "0", "--weight-decay (the run has 0.5, given is 0)"),
    ("--train-size", "70", "--train-size (the run has 60, given is 70)"),
    ("--threads", "2", "--threads (the run has 1, given is 2)"),
    ("--jobs", "2", "--jobs (the run has 1, given is 2)"),
    ("--timeout", "9", "--timeout (the run has none, given is 9)"),
    ("--retries", "2", "--retries (the run has 0, given is 2)"),
    ("--margin-accuracy", "2", "--margin-accuracy (the run has 0.5, given is 2)"),
    ("--margin-time", "7", "--margin-time (the run has 5, given is 7)"),
    ("--margin-memory", "7", "--margin-memory (the run has 5, given is 7)"),
    ("--low-memory", "--jobs=1", "--low-memory (the run has off, given is on)"),
    ("--low-memory", "--methods=noprop", "--methods (the run has backprop-plain, given is noprop, noprop[execution="),
    ("--augment", "standard", "--augment (the run has none, given is standard)"),
    ("--amp", "--jobs=1", "--amp (the run has off, given is on)"),
]


@pytest.mark.parametrize(("option", "value"), OWN)
def test_accepts_the_runs_own_settings(
    command: Command, cells: FakeCells, half_done: Path, option: str, value: str
) -> None:
    assert command("--resume", half_done, option, value).code == 0
    assert cells.started == [key(1), key(3)]


@pytest.mark.parametrize(("option", "value", "said"), OTHER)
def test_refuses_other_settings_and_names_them(
    command: Command, cells: FakeCells, half_done: Path, option: str, value: str, said: str
) -> None:
    refused(command, cells, half_done, option, value, quotes=said)


def test_a_set_option_is_the_run_s_where_its_methods_have_it_so(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    made = command("--out", tmp_path, "--methods", "noprop,backprop", "--set", "T=2", "--seeds", "0", *SMALL)
    assert made.code == 0
    (run,) = tmp_path.iterdir()
    assert command("--resume", run, "--set", "T=2").code == 0
    cells.started.clear()
    refused(command, cells, run, "--set", "T=3", quotes="--set (the run has T=2, given is T=3)")
    refused(command, cells, run, "--set", "T=no", quotes="T='no'")


def test_names_all_that_differs(command: Command, cells: FakeCells, half_done: Path) -> None:
    given = ("--epochs", "6", "--lr", "0.25", "--seeds", "7")
    refused(command, cells, half_done, *given, quotes="--seeds (the run has 0, 1, 2, 3, given is 7)")
    refused(command, cells, half_done, *given, quotes="--epochs (the run has 5, given is 6)")
    assert "--lr" not in command("--resume", half_done, *given).err


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"epochs": 6}, "epochs"),
        ({"lr": 0.5}, "lr"),
        ({"options": CONFIG.options | {"width": 3}}, "options.width"),
        ({"augment": "standard"}, "augment"),
    ],
)
def test_refuses_a_plan_that_was_changed_under_finished_cells(
    command: Command, cells: FakeCells, tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    run = a_run(tmp_path, planned=[row(0, **change), row(1, **change)], rows=[row(0)])
    refused(command, cells, run, quotes=f"(differing: {field})")


@pytest.mark.parametrize("spelling", ["npz:mine.npz", "npz:../data/mine.npz", "npz:HERE/mine.npz[flip=false]"])
def test_a_path_may_be_spelled_in_another_way(
    command: Command, cells: FakeCells, tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar_archive(tmp_path / "data", colour(num_classes=3, train_per_class=30), "mine.npz")
    own = [row(seed).model_copy(update={"dataset": f"npz:{tmp_path / 'data' / 'mine.npz'}"}) for seed in (0, 1)]
    run = a_run(tmp_path, planned=own, rows=own[:1])
    monkeypatch.chdir(tmp_path / "data")
    given = spelling.replace("HERE", str(tmp_path / "data"))
    assert command("--resume", run, "--datasets", given).code == 0
    assert cells.started == [own[1].key]
    cells.started.clear()
    refused(
        command, cells, run, "--datasets", f"{given.partition('[')[0]}[flip=true]", quotes="--datasets (the run has"
    )


def test_refuses_to_start_saving(command: Command, cells: FakeCells, half_done: Path) -> None:
    refused(command, cells, half_done, "--save", quotes="--save (the run has off, given is on)")


@pytest.mark.parametrize("save", [True, False])
def test_goes_on_saving_models_or_not(command: Command, cells: FakeCells, tmp_path: Path, save: bool) -> None:
    run = write_run(tmp_path / "run", [row(0)], make_run([row(0), row(1)], save_models=save))
    assert command("--resume", run).code == 0
    assert [job.save_in for job in cells.jobs] == [str(run) if save else None]


def test_a_name_that_no_disk_takes(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    """Looking for it is an error already, as it is in a folder that may not be entered."""
    ended = command("--resume", "x" * 300, "--out", tmp_path)
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert "there is no run" in ended.err


def refused(command: Command, cells: FakeCells, run: Path, *more: str, quotes: str) -> None:
    """Exit code 2, one line that quotes this, nothing started, and every file as it was."""
    before = {path: path.read_bytes() for path in run.iterdir()}
    ended = command("--resume", run, *more)
    assert ended.code == 2
    assert len(ended.lines) == 1
    assert ended.err.startswith("error: ")
    assert quotes in ended.err
    assert cells.started == []
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_folder_that_is_no_run(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    refused(command, cells, tmp_path, quotes=f"{tmp_path} is not a run")


@pytest.mark.parametrize(
    "end", [b'{"schema_version":1,"run_id":"20', b"\xff\xfe\n", b"[]\n", b'{"schema_version":9}\n', b"[" * 100_000]
)
def test_broken_last_line(command: Command, cells: FakeCells, half_done: Path, end: bytes) -> None:
    with (half_done / CELLS_FILE).open("ab") as file:
        file.write(end)
    refused(command, cells, half_done, quotes=f"line 4 of {half_done / CELLS_FILE}")


def test_broken_run_file(command: Command, cells: FakeCells, half_done: Path) -> None:
    whole = (half_done / RUN_FILE).read_text()
    (half_done / RUN_FILE).write_text(whole[: len(whole) // 2])
    refused(command, cells, half_done, quotes=str(half_done / RUN_FILE))


def test_line_without_its_end(command: Command, cells: FakeCells, half_done: Path) -> None:
    """As some editors leave the file once the broken line below has been deleted, as the message asks."""
    file = half_done / CELLS_FILE
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert command("--resume", half_done).code == 0
    assert len(read_cells(half_done)) == 4


@pytest.mark.parametrize(
    ("changes", "quotes"),
    [
        ({"device": "cuda:0"}, "'cuda:0'"),
        ({"train_size": 100_000}, "100000"),
        ({"options": CONFIG.options | {"width": 3}}, "'width'"),
    ],
    ids=["device", "size", "option"],
)
def test_what_cannot_be_done_here(
    command: Command, cells: FakeCells, tmp_path: Path, changes: dict[str, Any], quotes: str
) -> None:
    """A run that was begun on another machine, or with another version."""
    run = a_run(tmp_path, planned=[row(0), row(1, **changes)], rows=[row(0)])
    refused(command, cells, run, quotes=quotes)


@pytest.mark.parametrize(("field", "quotes"), [("dataset", "'gone'"), ("method_name", "'gone'")])
def test_plugin_that_is_gone(command: Command, cells: FakeCells, tmp_path: Path, field: str, quotes: str) -> None:
    record = make_run([row(0), row(1)])
    planned = [record.cells[0], record.cells[1].model_copy(update={field: "gone"})]
    run = write_run(tmp_path / "run", [row(0)], record.model_copy(update={"cells": planned}))
    refused(command, cells, run, quotes=quotes)


def test_data_that_are_damaged_now(command: Command, cells: FakeCells, tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"cut")
    record = make_run([row(0), row(1)])
    planned = [record.cells[0], record.cells[1].model_copy(update={"dataset": "mnist"})]
    run = write_run(tmp_path / "run", [row(0)], record.model_copy(update={"cells": planned}))
    refused(command, cells, run, "--data-dir", str(tmp_path / "data"), quotes=str(raw))


@pytest.fixture
def moved(tmp_path: Path) -> tuple[Path, Path]:
    """A run on an archive, one of two seeds finished, and the folder that the archive is in by now."""
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    write_cifar_archive(new, colour(num_classes=3), "mine.npz")
    found = datasets.get(f"npz:{new / 'mine.npz'}")
    splits = datasets.make_splits(found.load(None), num_classes=3, train_size=None, split_seed=0)
    config = CONFIG.model_copy(update={"train_size": None})
    name = f"npz:{old / 'mine.npz'}"
    planned = [make_cell("backprop-plain", name, seed, config=config, data=splits.record) for seed in range(2)]
    return a_run(tmp_path, planned=planned, rows=planned[:1]), new


@pytest.mark.parametrize("how", ["--data-dir", "--datasets"])
def test_data_of_ones_own_may_be_elsewhere(
    how: str, command: Command, cells: FakeCells, moved: tuple[Path, Path]
) -> None:
    run, new = moved
    ended = command("--resume", run)
    assert ended.code == 2
    assert "there is no file" in ended.err
    ended = command("--resume", run, how, new if how == "--data-dir" else f"npz:{new / 'mine.npz'}")
    assert ended.code == 0, ended.err
    assert cells.started == [(f"npz:{new.parent / 'old' / 'mine.npz'}", "backprop-plain", 1)]
    assert cells.jobs[0].data_dir == str(new)


def test_data_of_ones_own_may_be_renamed(command: Command, cells: FakeCells, moved: tuple[Path, Path]) -> None:
    run, new = moved
    place = (new / "mine.npz").rename(new / "other.npz")
    assert command("--resume", run, "--datasets", f"npz:{place}[flip=true]").code == 2
    cells.stop = {"backprop-plain": KeyboardInterrupt()}
    ended = command("--resume", run, "--datasets", f"npz:{place}")
    assert f"--data-dir {place}" in ended.err, "how to go on"
    cells.stop = {}
    assert command("--resume", run, "--data-dir", place).code == 0
    assert cells.started == [(f"npz:{new.parent / 'old' / 'mine.npz'}", "backprop-plain", 1)] * 2
    assert cells.jobs[0].data_dir == str(place)


def test_other_data_of_that_name_are_refused(command: Command, cells: FakeCells, moved: tuple[Path, Path]) -> None:
    run, new = moved
    write_cifar_archive(new, colour(num_classes=3, seed=1), "mine.npz")
    ended = command("--resume", run, "--data-dir", new)
    assert ended.code == 2
    assert "not those that this run has been trained on" in ended.err
    assert cells.started == []
