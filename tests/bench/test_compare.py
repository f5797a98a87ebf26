"""`python -m bench.compare`: two runs on disk, as somebody's CI calls it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import compare
from results.schema import CellResult
from results.store import CELLS_FILE, RUN_FILE
from tests.bench.harness import PROJECT, Ended, call, refused
from tests.factories import make_cell, make_cells, make_config, make_environment, make_failed_cell, make_run, write_run

Check = Callable[..., Ended]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Writes two runs and compares them; cells whose error is `not run` have no row."""

    def compared(old: list[CellResult], new: list[CellResult], *options: object, **record: Any) -> Ended:
        for name, cells in (("old", old), ("new", new)):
            rows = [cell.model_copy(update={"run_id": name}) for cell in cells if cell.error != "not run"]
            write_run(tmp_path / name, rows, make_run(cells, run_id=name, **(record if name == "new" else {})))
        return run(tmp_path / "old", tmp_path / "new", *options)

    def run(*arguments: object) -> Ended:
        return call(compare.main, "bench.compare", arguments, monkeypatch, capsys)

    return compared


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    return lambda *arguments: call(compare.main, "bench.compare", arguments, monkeypatch, capsys)


def changed(cells: Iterable[CellResult], method: str, **factors: float) -> list[CellResult]:
    """The cells with some figures of one method multiplied."""
    return [
        cell.model_copy(
            update={
                field: type(value)(value * factor)
                for field, factor in factors.items()
                for value in [getattr(cell, field)]
                if cell.method == method
            }
        )
        for cell in cells
    ]


def rows_of(ended: Ended) -> dict[tuple[str, str], list[str]]:
    """The table's entries by method and figure."""
    found = {}
    for line in ended.out.splitlines():
        entries = [entry.strip() for entry in line.split("  ") if entry.strip()]
        if len(entries) == 7 and entries[2].isdigit():
            found[entries[0], entries[1].split(",")[0]] = entries
    return found


def test_equal_runs(check: Check) -> None:
    cells = make_cells()
    ended = check(cells, cells)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == (
        "No regression: 8 checks judged, none past its limit (1 point of test accuracy, 10% of training time, 5% of "
        "memory)."
    )
    rows = rows_of(ended)
    assert len(rows) == 8
    assert {row[-1] for row in rows.values()} == {"same"}


def test_a_regression_is_named_with_its_size_and_its_limit(check: Check) -> None:
    cells = make_cells()
    new = changed(changed(cells, "noprop", train_seconds=2.0), "backprop", activation_bytes=1.25, test_accuracy=0.9)
    ended = check(cells, new)
    assert (ended.code, ended.err) == (1, "")
    last = ended.out.splitlines()[-1]
    assert last.startswith("FAILED: ")
    lost = 10 * sum(cell.test_accuracy or 0 for cell in cells if cell.method == "backprop") / 3
    assert "mnist noprop: training time higher by 100% (limit 10%)" in last
    assert "mnist backprop: activation memory higher by 25.0% (limit 5%)" in last
    assert f"mnist backprop: test accuracy lower by {lost:.2f} points (limit 1)" in last
    rows = rows_of(ended)
    assert [key for key, row in rows.items() if row[-1] == "REGRESSION"] == [
        ("backprop", "test accuracy"),
        ("backprop", "activation memory"),
        ("noprop", "training time"),
    ]
    assert rows["noprop", "training time"][2] == "3"
    assert rows["noprop", "training time"][5] == "2.000 (2.000 to 2.000) times"
    assert rows["backprop", "activation memory"][5] == "1.250 times"


def test_better_is_no_failure(check: Check) -> None:
    cells = make_cells()
    ended = check(changed(cells, "noprop", train_seconds=2.0, activation_bytes=2.0), cells)
    assert ended.code == 0
    rows = rows_of(ended)
    assert rows["noprop", "training time"][-1] == rows["noprop", "activation memory"][-1] == "better"


@pytest.mark.parametrize(
    ("field", "factor", "option", "value"),
    [
        ("test_accuracy", 0.97, "--max-accuracy-drop", 5),
        ("train_seconds", 1.2, "--max-slowdown", 25),
        ("activation_bytes", 1.2, "--max-memory", 25),
        ("rss_rise_bytes", 1.2, "--max-memory", 25),
    ],
)
def test_limits(check: Check, tmp_path: Path, field: str, factor: float, option: str, value: int) -> None:
    cells = [make_cell()]
    assert check(cells, changed(cells, "backprop", **{field: factor}), option, value).code == 0
    for name in ("old", "new"):
        (tmp_path / name).rename(tmp_path / f"first {name}")
    assert check(cells, changed(cells, "backprop", **{field: factor})).code == 1


def test_what_chance_may_do_is_said_to_be_unclear(check: Check) -> None:
    old = [make_cell(seed=seed, train_seconds=time) for seed, time in enumerate((100.0, 150.0, 90.0))]
    new = [make_cell(seed=seed, train_seconds=time) for seed, time in enumerate((150.0, 130.0, 120.0))]
    ended = check(old, new)
    assert ended.code == 0
    assert rows_of(ended)["backprop", "training time"][-1] == "unclear"
    assert "No regression shown: 4 checks judged, 1 past the limit" in ended.out.splitlines()[-1]
    assert "may go unnoticed: training time of a single method on mnist higher by less than" in ended.out


def test_a_crash_is_a_regression(check: Check) -> None:
    cells = make_cells()
    new = [
        *make_cells(("backprop",), seeds=(0,)),
        make_failed_cell(seed=1, error="loss is not finite"),
        make_failed_cell(seed=2, error="not run"),
    ]
    ended = check(cells, new)
    assert ended.code == 1
    last = ended.out.splitlines()[-1]
    assert "missing in B: mnist backprop seed 1 (error: loss is not finite)" in last
    assert "missing in B: mnist backprop seed 2 (not run)" in last
    assert "missing in B: mnist noprop seeds 0, 1 and 2 (not part of the run)" in last
    assert "one seed: all methods" in ended.out


def test_nothing_finished_in_the_new_run(check: Check) -> None:
    ended = check([make_cell()], [make_failed_cell()])
    assert ended.code == 1
    assert "missing in B: mnist backprop seed 0" in ended.out.splitlines()[-1]


def test_a_measure_that_was_lost_is_a_failure(check: Check) -> None:
    cells = make_cells()
    ended = check(cells, [cell.model_copy(update={"activation_bytes": None}) for cell in cells])
    assert ended.code == 1
    assert "mnist noprop: activation memory measured in A and not in B" in ended.out.splitlines()[-1]


def test_what_only_the_new_run_has_is_said(check: Check) -> None:
    ended = check(make_cells(seeds=(0, 1)), make_cells(("backprop", "noprop", "forward"), seeds=(0, 1, 2)))
    assert ended.code == 0
    assert "only in B: mnist backprop seed 2: finished" in ended.out
    assert "only in B: mnist forward seeds 0, 1 and 2: finished" in ended.out


def test_another_machine_leaves_time_and_resident_memory_out_and_says_so(check: Check) -> None:
    cells = make_cells()
    there = make_environment(cpu="Other CPU", torch="2.10.0")
    ended = check(cells, [c.model_copy(update={"environment": there, "train_seconds": 1e6}) for c in cells])
    assert ended.code == 0
    assert (
        "not judged: training time and peak memory increase of all methods: cpu: Example CPU at 2.4 GHz against "
        "Other CPU" in ended.out
    )
    assert "also different: torch: 2.9.0 against 2.10.0" in ended.out
    assert "4 checks judged, 4 not judged" in ended.out.splitlines()[-1]


def test_other_code_of_somebody_s_own_method_is_said(check: Check) -> None:
    old, new = (
        [cell.model_copy(update={"method_package": package}) for cell in make_cells(("forward",))]
        for package in ("mine 1.0 (files 3f9a)", "mine 1.0 (files 77aa)")
    )
    ended = check(old, new)
    assert ended.code == 0
    assert ended.out.count("\nother code: forward is mine 1.0 (files 3f9a) in A and mine 1.0 (files 77aa) in B\n") == 1


def test_cells_side_by_side(check: Check) -> None:
    cells = make_cells()
    ended = check(cells, changed(cells, "noprop", train_seconds=3.0), jobs=2)
    assert ended.code == 0
    assert "not judged: training time of all methods: cells side by side (--jobs 1 and 2)" in ended.out


def other_config(cells: Iterable[CellResult]) -> list[CellResult]:
    return [cell.model_copy(update={"config": make_config(epochs=9, lr=0.1)}) for cell in cells]


def test_another_configuration_is_no_silent_pass(check: Check) -> None:
    old, new = make_cells(), make_cells()
    ended = check(old, [cell if cell.method == "backprop" else other_config([cell])[0] for cell in new])
    assert ended.code == 2
    assert {method for method, _ in rows_of(ended)} == {"backprop"}
    assert len(ended.lines) == 1
    assert ended.err.startswith("error: ")
    assert "mnist noprop (epochs: 5 against 9; lr: 0.001 against 0.1)" in ended.err
    assert "No regression" not in ended.out


def test_a_regression_beside_another_configuration_is_what_the_exit_code_says(check: Check) -> None:
    old = make_cells()
    new = changed(
        (cell if cell.method == "backprop" else other_config([cell])[0] for cell in old), "backprop", train_seconds=3.0
    )
    ended = check(old, new)
    assert ended.code == 1
    assert "not compared: mnist noprop seeds 0, 1 and 2: epochs: 5 against 9; lr: 0.001 against 0.1" in ended.out
    assert ended.out.splitlines()[-1].startswith("FAILED: mnist backprop: training time higher by 200%")


def test_nothing_alike(check: Check) -> None:
    cells = make_cells()
    refused(check(cells, other_config(cells)), "mnist backprop (epochs: 5 against 9", "alike")


def test_nothing_to_compare_with(check: Check) -> None:
    refused(check([make_failed_cell()], [make_cell()]), "no measure that can be judged", "finished cells in the first")


def test_the_same_run_twice(check: Check, command: Check, tmp_path: Path) -> None:
    check([make_cell()], [make_cell()])
    refused(command(tmp_path / "old", tmp_path / "old"), "the same run")


def test_names_are_looked_up_where_runs_are_kept(check: Check, command: Check, tmp_path: Path) -> None:
    check([make_cell()], [make_cell()])
    ended = command("old", "new", "--out", tmp_path)
    assert ended.code == 0
    assert ended.out.splitlines()[:2] == [
        f"A: {tmp_path / 'old'}, made 2026-03-01T10:00:00Z",
        f"B: {tmp_path / 'new'}, made 2026-03-01T10:00:00Z",
    ]
    refused(command("old", "nope", "--out", tmp_path), "'nope'", str(tmp_path))
    refused(command("nope", "new", "--out", tmp_path), "'nope'", str(tmp_path))


def test_runs_in_the_wrong_order_are_noticed(check: Check) -> None:
    ended = check([make_cell()], [make_cell()], created_at="2026-02-01T10:00:00Z")
    assert ended.code == 0
    assert "order: A was made after B" in ended.out


@pytest.mark.parametrize("name", ["old", "new"])
@pytest.mark.parametrize("file", [RUN_FILE, CELLS_FILE])
@pytest.mark.parametrize("content", [b"no JSON\n", b'{"schema_version": 99}\n', b"\xff\n"])
def test_damaged_files(check: Check, command: Check, tmp_path: Path, name: str, file: str, content: bytes) -> None:
    check([make_cell()], [make_cell()])
    (tmp_path / name / file).write_bytes(content)
    refused(command(tmp_path / "old", tmp_path / "new"), str(tmp_path / name / file))


def test_a_folder_that_is_no_run(check: Check, command: Check, tmp_path: Path) -> None:
    check([make_cell()], [make_cell()])
    (tmp_path / "empty").mkdir()
    refused(command(tmp_path / "old", tmp_path / "empty"), "empty", RUN_FILE)
    refused(command(tmp_path / "old", tmp_path / "old" / RUN_FILE), RUN_FILE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "RUN_A"),
        (("old",), "RUN_B"),
        (("old", "new", "more"), "more"),
        (("old", "new", "--max-speed", "1"), "--max-speed"),
        *(
            (("old", "new", option, value), said)
            for option in ("--max-accuracy-drop", "--max-slowdown", "--max-memory")
            for value, said in (
                ("-1", "'-1' is not a finite number not below 0"),
                ("nan", "'nan' is not a finite number not below 0"),
                ("inf", "'inf' is not a finite number not below 0"),
                ("ten", "'ten' is not a finite number not below 0"),
                ("", "'' is not a finite number not below 0"),
            )
        ),
    ],
)
def test_bad_arguments(command: Check, arguments: tuple[str, ...], said: str) -> None:
    refused(command(*arguments), said)


def test_in_a_process_of_its_own_and_quick_to_help() -> None:
    """What a shell gets; and neither torch nor pandas nor scipy is imported for it."""
    script = (
        "import sys; sys.argv = ['bench.compare', '--help']\n"
        "import bench.compare, atexit\n"
        "atexit.register(lambda: print(sorted({'torch', 'pandas', 'scipy', 'numpy'} & sys.modules.keys())))\n"
        "bench.compare.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "RUN_A RUN_B" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"
