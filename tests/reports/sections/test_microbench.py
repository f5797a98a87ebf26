"""The report's section on microbenchmarks: its numbers, its conditions, and that it is there only where they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reports.build import build_report
from reports.sections import microbench, plain_trainer
from reports.view import arrange
from results.microbenchmarks import Microbenchmarks
from results.schema import CellResult
from tests.factories import make_cell, make_cells, make_config, make_environment, make_run, whole, write_run
from tests.microbench_factory import make_benchmark, make_session, write_session
from tests.reports.test_build import run_command, section

WARNING = "These are not the conditions of this run's cells"


def words(session: dict[str, Any] | None = None, *cells: CellResult) -> str:
    """The section for a session and cells: by default, a session under the conditions of the one cell."""
    cells = cells or (make_cell(),)
    view = arrange(make_run(cells), cells, Microbenchmarks.model_validate(session or make_session()))
    return "\n\n".join(filter(None, (microbench.section(view), plain_trainer.section(view))))


def table(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[entry.strip() for entry in row.strip("|").split("|")] for row in rows]


def test_medians_and_spreads_in_their_units() -> None:
    """256 images in 128 ms are 2,000 a second; the quartiles of the time, 102.4 and 204.8 ms, are 2,500 and 1,250."""
    headers, _, *rows = table(words())
    assert headers == ["method", "image", "training step, ms", "prediction of a batch, ms", "evaluation, images/s"]
    assert rows == [
        ["`backprop`", "1 × 28 × 28", "200 (160)", "50.0 (40)", "2,000 (1,250)"],
        ["`noprop`", "1 × 28 × 28", "200 (160)", "50.0 (40)", "2,000 (1,250)"],
    ]


def test_large_images_come_first_and_what_was_not_timed_is_a_dash() -> None:
    timed = [make_benchmark("step", shape=[1, 8, 8]), make_benchmark("predict", "noprop"), make_benchmark("step")]
    rows = table(words(make_session(timed)))[2:]
    assert [row[:2] for row in rows] == [
        ["`backprop`", "1 × 28 × 28"],
        ["`noprop`", "1 × 28 × 28"],
        ["`backprop`", "1 × 8 × 8"],
    ]
    assert rows[1][2:] == ["–", "50.0 (40)", "–"]


def test_the_loop_is_a_sentence_and_no_row() -> None:
    text = words()
    assert "1.012 times as long (IQR 0.004) with `backprop-plain` on 1 × 28 × 28 (11 epochs of 8 steps)" in text
    assert "backprop-plain" not in str(table(text))
    assert "Overhead of the harness" not in words(make_session([make_benchmark()]))
    assert table(words(make_session([make_benchmark("loop")]))) == []


def test_machine_threads_and_commit_are_named_without_a_warning_where_they_are_the_cells() -> None:
    text = words()
    here = make_environment()
    assert f"Timed on {here.cpu} (8 cores, {here.platform}) with 2 threads, PyTorch {here.torch}" in text
    assert f"at commit `{here.commit}`, on 2026-03-02 09:30 UTC" in text
    assert WARNING not in text
    assert "clean commit" not in text


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"config": make_config(threads=4)}, "threads `2` here, `4` in the cells"),
        ({"config": make_config(device="cuda:0")}, "device `cpu` here, `cuda:0` in the cells"),
        ({"environment": make_environment(cpu="Another")}, "cpu `Example CPU at 2.4 GHz` here, `Another` in the cells"),
        ({"environment": make_environment(cores=2)}, "cores `8` here, `2` in the cells"),
        ({"environment": make_environment(torch="2.8.0")}, "PyTorch `2.9.0` here, `2.8.0` in the cells"),
        ({"environment": make_environment(commit=None)}, "`unknown` in the cells"),
    ],
)
def test_whatever_was_otherwise_in_the_cells_is_a_warning(cell: dict[str, Any], said: str) -> None:
    text = words(None, make_cell(**cell))
    assert WARNING in text
    assert said in text
    assert text.count(" here, ") == 1


def test_one_cell_that_ran_otherwise_is_enough() -> None:
    text = words(None, make_cell(), make_cell(seed=1, config=make_config(threads=4)))
    assert "threads `2` here, `2`, `4` in the cells" in text


def test_changed_code_is_said_even_where_the_cells_name_the_same() -> None:
    dirty = "0123456789ab-dirty"
    session = make_session([make_benchmark(commit=dirty)])
    text = words(session, make_cell(environment=make_environment(commit=dirty)))
    assert WARNING not in text
    assert "The code was not a clean commit" in text


def test_the_section_is_in_the_report_of_a_run_that_has_the_file_and_in_no_other(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    plain = whole(build_report(run))
    assert "icrobenchmark" not in plain
    write_session(run / "microbench.json")
    text = whole(build_report(run))
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[3:6] == ["Results: mnist", "Microbenchmarks", "Failed or missing cells"]
    assert text.replace(section(text, "## Microbenchmarks"), "") == plain


def test_a_damaged_file_is_one_sentence_and_leaves_the_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    report = build_report(run)
    before = report.read_bytes()
    (run / "microbench.json").write_text('{"benchmarks": [')
    result = run_command(run)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: [^\n]*microbench\.json does not hold microbenchmarks[^\n]*\n", result.stderr)
    assert report.read_bytes() == before
