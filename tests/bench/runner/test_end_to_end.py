"""The real thing: the command in a process, cells in theirs. Two runs, started together, serve most tests."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from bench.models import load_model
from results.schema import CellResult
from results.store import CELLS_FILE, read_cells, read_run
from tests.bench.harness import SMALL, Ended, Plugin, finish

ROGUES = {
    "steady": None,
    "raises": "RuntimeError: no such luck",
    "dies": "the cell's process was killed by SIGKILL (out of memory?)",
    "leaves": "the cell's process ended with exit code 3 and no result",
    "resigns": "the method ended the process (SystemExit: 0)",
    "diverges": "TrainingError: training diverged: the loss is nan",
    "litters": None,
    "allocates": None,
    "holds": None,
}
"""Methods of the plug-in, and the error that their rows have to have."""
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Done:
    """A run that has ended."""

    ended: Ended
    folder: Path

    @property
    def rows(self) -> list[CellResult]:
        return read_cells(self.folder)


@pytest.fixture(scope="module")
def both(plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    requests = {
        "rogues": ("--datasets", "halves", "--methods", ",".join(ROGUES), "--seeds", "0"),
        "digits": ("--methods", "noprop[T=2],backprop-plain", "--seeds", "0,1", "--train-size", "60", "--save"),
    }
    outs = {name: tmp_path_factory.mktemp(name) for name in requests}
    started = {name: plugin.start("--out", outs[name], *SMALL, *request) for name, request in requests.items()}
    ended = {name: finish(process) for name, process in started.items()}
    return {name: Done(ended[name], next(outs[name].iterdir())) for name in requests}


@pytest.fixture(scope="module")
def digits(both: dict[str, Done]) -> Done:
    return both["digits"]


@pytest.fixture(scope="module")
def rogues(both: dict[str, Done]) -> Done:
    return both["rogues"]


def test_all_is_well_with_digits(digits: Done) -> None:
    assert digits.ended.code == 0
    assert digits.ended.out.splitlines()[-1] == str(digits.folder / "report.md")
    assert "noprop[T=2]" in (digits.folder / "details.md").read_text()
    assert {row.status for row in digits.rows} == {"ok"}


def test_rows_are_those_of_the_plan_in_its_rotated_order(digits: Done) -> None:
    record = read_run(digits.folder)
    a, b = "noprop[T=2]", "backprop-plain"
    assert [cell.key for cell in record.cells] == [
        ("digits", method, seed) for seed, method in ((0, a), (0, b), (1, b), (1, a))
    ]
    assert [(row.key, row.config, row.method_name) for row in digits.rows] == [
        (cell.key, cell.config, cell.method_name) for cell in record.cells
    ]
    assert {row.run_id for row in digits.rows} == {record.run_id} == {digits.folder.name}
    starts = [row.started_at for row in digits.rows]
    assert starts == sorted(starts)


def test_every_cell_has_the_same_data_and_conditions(digits: Done) -> None:
    first, *others = digits.rows
    assert first.data is not None
    assert first.data.n_train == 60
    for row in others:
        assert row.data == first.data
        assert row.environment == first.environment
        assert row.config.model_copy(update={"options": {}}) == first.config.model_copy(update={"options": {}})


def test_everything_is_measured(digits: Done) -> None:
    on_a_card = {"gpu_peak_allocated_bytes", "gpu_peak_reserved_bytes", "gpu_process_bytes"}
    only_elsewhere = {"error", "traceback", "gpu_joules", "gpu_joules_source", "node", "trained_with"} | on_a_card
    only_elsewhere |= {"activation_bytes_in_turn", "method_package"}  # with several threads, of other packages
    for row in digits.rows:
        one_way = {"execution"} if row.method_name == "backprop-plain" else set()
        assert {name for name, value in row if value is None} - {"cpu_joules"} == only_elsewhere | one_way
        assert row.wall_seconds > (row.train_seconds or 0) + (row.eval_seconds or 0)
        assert (row.baseline_rss_bytes or 0) < (row.peak_rss_bytes or 0)


def test_every_model_is_saved_and_can_be_read(digits: Done) -> None:
    files = [digits.folder / (row.model_file or "") for row in digits.rows]
    assert sorted(files) == sorted((digits.folder / "models").iterdir())
    for row, file in zip(digits.rows, files, strict=True):
        card = load_model(file).card
        assert (card.dataset, card.method_name, card.seed) == ("digits", row.method_name, row.seed)
        assert (card.options, card.test_accuracy) == (row.config.options, row.test_accuracy)


def test_output_off_a_terminal_is_lines(digits: Done) -> None:
    ends = [line for line in digits.ended.lines if "] warning: " not in line]  # of a busy machine
    assert [line.split("]")[0] for line in ends] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert not re.search(r"[\x1b\r]", digits.ended.err + digits.ended.out)


def test_same_seed_same_result_in_another_process(digits: Done, plugin: Plugin) -> None:
    """A row that is lost is done again, alone, and comes out the same to the last bit."""
    before = {row.key: row for row in digits.rows}
    file = digits.folder / CELLS_FILE
    kept = [
        line
        for line in file.read_bytes().splitlines(keepends=True)
        if b'"method":"noprop[T=2]","method_name":"noprop","seed":1' not in line
    ]
    assert len(kept) == 3
    file.write_bytes(b"".join(kept))
    assert plugin.run("--resume", digits.folder).code == 0
    assert file.read_bytes().startswith(b"".join(kept))
    assert len(digits.rows) == 4
    again = digits.rows[-1]
    first = before[again.key]
    assert again.seed == 1
    assert again.method == "noprop[T=2]"
    learned = [(epoch.train_loss, epoch.val_accuracy, epoch.test_accuracy) for epoch in again.epochs]
    assert learned == [(epoch.train_loss, epoch.val_accuracy, epoch.test_accuracy) for epoch in first.epochs]
    assert again.activation_bytes_by_T == first.activation_bytes_by_T
    assert again.data == first.data


@pytest.mark.parametrize("method", ROGUES)
def test_a_cell_s_end_is_in_its_row(rogues: Done, method: str) -> None:
    (row,) = (row for row in rogues.rows if row.method == method)
    assert row.error == ROGUES[method]
    if row.error is None:
        assert (row.status, row.test_accuracy) == ("ok", 1.0)
    else:
        assert row.status == ("killed" if "killed" in row.error else "error")
        assert row.test_accuracy is None
        assert row.config == read_run(rogues.folder).cells[0].config


def test_known_allocations_are_what_is_measured(rogues: Done) -> None:
    rows = {row.method: row for row in rogues.rows}
    assert rows["holds"].activation_bytes == 5 * MIB
    assert rows["steady"].activation_bytes == 0
    if rows["allocates"].rss_source != "high-water mark, reset":
        pytest.skip("the kernel does not let a process reset its high-water mark here")
    assert rows["allocates"].rss_rise_bytes == pytest.approx(300 * MIB, rel=0.05)


def test_what_a_dead_process_said_is_kept(rogues: Done) -> None:
    traces = {row.method: row.traceback or "" for row in rogues.rows}
    assert "a last word" in traces["dies"]
    assert 'raise RuntimeError("no such\\nluck")' in traces["raises"]


def test_the_rest_ran_and_the_command_says_what_failed(rogues: Done) -> None:
    assert rogues.ended.code == 1
    assert [row.method for row in rogues.rows] == list(ROGUES)
    failures = [f"failed: halves {method} seed 0: {error}" for method, error in ROGUES.items() if error]
    assert rogues.ended.lines[-len(failures) :] == failures
    assert "Traceback" not in rogues.ended.err


def test_what_methods_print_is_not_taken_for_ours(rogues: Done) -> None:
    assert "from below Python" not in rogues.ended.out + rogues.ended.err
    assert rogues.ended.out.splitlines()[-1] == str(rogues.folder / "report.md")


def test_no_process_is_left(both: dict[str, Done], plugin: Plugin) -> None:
    """Grandchildren neither."""
    assert plugin.processes() == []


def own_data(folder: Path) -> str:
    """Two classes that anybody can tell apart; and noise, 95% of which is of one class."""
    rng = np.random.default_rng(0)
    for name, share, gap in (("easy", 0.5, 150), ("lopsided", 0.95, 0)):
        arrays = {}
        for part, count in (("train", 200), ("test", 100)):
            labels = (np.arange(count) >= share * count).astype(np.int64)
            noise = rng.integers(0, 100, (count, 1, 8, 8), dtype=np.uint8)
            images = noise + gap * labels[:, None, None, None].astype(np.uint8)
            arrays |= {f"x_{part}": images, f"y_{part}": labels}
        np.savez(folder / name, **arrays)
    return f"npz:{folder / 'easy.npz'},npz:{folder / 'lopsided.npz'}"


def test_chance_is_what_naming_the_most_frequent_class_gets(plugin: Plugin, tmp_path: Path) -> None:
    words = ("--methods", "backprop-plain", "--seeds", "0", "--lr", "0.01", *SMALL[:-1], "2")
    ended = plugin.run("--datasets", own_data(tmp_path), *words, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    (folder,) = (tmp_path / "out").iterdir()
    accuracies = {Path(row.dataset).stem: row.test_accuracy for row in read_cells(folder)}
    assert accuracies == {"easy": 1.0, "lopsided": 0.95}
    text = "\n".join(path.read_text() for path in folder.glob("*.md"))
    assert re.findall(r"At chance.*|.*of guessing.*", text) == [
        "At chance** (95.0%): `backprop-plain` learned nothing that the test shows; a longer training may."
    ]
    assert "95.0% of the test images are of one class" in text
    assert "balanced accuracy, %" in text
