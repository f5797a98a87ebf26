"""The report as a user gets it: the command, its files, its errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reports.build import build_report, main, newest_run
from reports.figures.accuracy_axis import accuracy_limits
from results.store import CELLS_FILE, ResultsError, encode
from tests.factories import MIB, make_cell, make_cells, make_failed_cell, make_machine, make_run, whole, write_run

PNG = b"\x89PNG\r\n\x1a\n"


def run_command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def section(text: str, title: str) -> str:
    """From a heading to the next of its rank or a higher one."""
    rank = len(title.split(" ")[0])
    start = text.index(f"\n{title}\n")
    following = re.search(rf"\n#{{1,{rank}}} ", text[start + len(title) + 1 :])
    return text[start : start + len(title) + 1 + following.start()] if following else text[start:]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two data sets, with a failed cell and one that was not run."""
    planned = make_cells(datasets=["mnist", "digits"], seeds=range(3))
    cells = [make_failed_cell("noprop", "mnist", 1, error="loss | is not `finite` <nan>")]
    cells += [cell for cell in planned[:-1] if cell.key != cells[0].key]
    return build_report(write_run(tmp_path_factory.mktemp("runs") / "run", cells, make_run(planned)))


def test_data_sets_that_are_paths_have_figures_of_their_own(tmp_path: Path) -> None:
    names = [f"folder:/home/{who}/photos[size=32,flip=true]" for who in ("anne", "bert", "x" * 300)]
    cells = make_cells(datasets=names, seeds=range(2))
    report = build_report(write_run(tmp_path / "run", cells, make_run(cells)))
    figures = re.findall(r"^!\[.*\]\(figures/(.+)-memory\.png\)$", whole(report), re.MULTILINE)
    assert len(set(figures)) == 3
    for figure in figures:
        assert re.fullmatch(r"folder-[a-z0-9-]{1,60}", figure)
        assert (report.parent / "figures" / f"{figure}-memory.png").is_file()


def test_each_data_set_has_its_section_and_sections_are_in_order(report: Path) -> None:
    headings = re.findall(r"^## (.+)$", whole(report), re.MULTILINE)
    assert headings == [
        "mnist: is training without backpropagation worth it?",
        "digits: is training without backpropagation worth it?",
        "Keep in mind",
        "How it was measured",
        "Results: mnist",
        "Results: digits",
        "Failed or missing cells",
        "Configuration",
        "Data",
        "Environment",
        "Limitations",
    ]
    assert re.findall(r"^### (.+)$", section(whole(report), "## Results: digits"), re.MULTILINE) == [
        "Accuracy and time",
        "Memory and size",
        "Work",
        "Spread over seeds",
        "Compared with `backprop`, seed by seed",
        "Accuracy against cost",
        "Reaching a validation accuracy",
        "Figures",
        "Activation memory against depth",
    ]


def test_every_link_resolves_and_every_figure_is_a_png_with_alt_text(report: Path) -> None:
    text = whole(report)
    images = re.findall(r"^!\[(.+)\]\(([^)]+)\)$", text, re.MULTILINE)
    assert len(images) == text.count("![") == 12
    for alt, link in images:
        assert len(alt) > 40
        assert (report.parent / link).read_bytes().startswith(PNG)
    names = {Path(link).with_suffix(suffix).name for _, link in images for suffix in (".png", ".svg", ".csv")}
    assert files_in(report.parent / "figures") == names
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_failed_and_missing_cells_are_listed(report: Path) -> None:
    rows = section(whole(report), "## Failed or missing cells").strip().splitlines()[4:]
    assert len(rows) == 2
    assert rows[0].startswith("| `mnist`    | `noprop` | 1")
    assert "error: loss \\| is not 'finite' <nan>" in rows[0]
    assert "| 2      | not run" in rows[1]
    assert "`noprop`   |  2 of 3 |" in section(whole(report), "## Results: mnist")


def test_the_run_its_command_and_what_is_unmatched_are_stated(report: Path) -> None:
    text = whole(report)
    assert "```sh\npython -m bench.run --methods backprop,noprop --datasets mnist --seeds 3\n```" in text
    assert "2026-03-01 10:00 UTC" in text
    assert "825,300: `backprop`; 825,310: `noprop`" in section(text, "### Unmatched")
    assert "epochs" not in section(text, "### Unmatched")


def test_no_scratch_is_left_behind(report: Path) -> None:
    assert {path.name for path in report.parent.iterdir()} == {
        "run.json",
        "cells.jsonl",
        "report.md",
        "details.md",
        "figures",
    }


def test_command_prints_the_tables_and_last_the_path(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(epochs=1, seeds=[0]))
    result = run_command(run, "--out", tmp_path / "elsewhere" / "deep")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "mnist"
    assert any(line.startswith("noprop ") for line in lines)
    assert Path(lines[-1]) == tmp_path / "elsewhere" / "deep" / "report.md"
    assert Path(lines[-1]).is_file()
    assert files_in(run) == {"run.json", "cells.jsonl"}


def test_the_same_results_give_the_same_files_and_a_rebuild_replaces_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(epochs=2, seeds=[0, 1]))
    first = {name: (run / name).read_bytes() for name in files_in(build_report(run).parent)}
    (run / "report.md").write_text("old")
    build_report(run)
    assert {name: (run / name).read_bytes() for name in files_in(run)} == first


def test_methods_on_the_front_are_in_words_in_the_caption_and_in_the_text_for_the_blind(tmp_path: Path) -> None:
    costs = {"backprop": (0.99, 20.0, 50), "noprop": (0.98, 21.0, 5), "forward": (0.90, 9.0, 6)}
    cells = [
        make_cell(name, test_accuracy=accuracy, train_seconds=seconds, activation_bytes=held * MIB)
        for name, (accuracy, seconds, held) in costs.items()
    ]
    text = section(whole(build_report(write_run(tmp_path / "run", cells))), "### Accuracy against cost")
    assert "2 of 3 methods are not beaten by another: `forward` (90.00%), `backprop` (99.00%)." in text
    fronts = "training time: forward, backprop; activation memory: noprop, backprop"
    assert f"On the Pareto front, by cost: {fronts}.](" in text
    assert f"By cost, cheapest first: {fronts}. " in text


def test_times_of_cells_that_shared_the_machine_are_on_no_front_in_words(tmp_path: Path) -> None:
    cells = make_cells(seeds=[0], epochs=1)
    text = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, jobs=2))))
    assert "In test accuracy and training time together" not in text
    assert "In test accuracy and activation memory together" in text


def test_cells_that_a_launcher_placed_are_said_to_be_and_their_times_not_compared(tmp_path: Path) -> None:
    cells = make_cells(seeds=range(9), epochs=1, launcher="slurm", node="a", machine=make_machine(foreign_cores=4.0))
    cells[0] = cells[0].model_copy(update={"node": "b"})
    text = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, launcher="slurm"))))
    where = "ells ran where Slurm put them, on 2 machines"
    others = len(cells) - 1
    assert f"C{where}: `b` (1 cell) and `a` ({others} cells)." in section(text, "## Environment")
    assert f"Times are left out: c{where}." in section(text, "## mnist: is training without backpropagation worth it?")
    assert f"**C{where}**: times, and images/s" in section(text, "## Limitations")
    assert f"C{where}, and energy is that of the whole machine" in section(text, "### Energy")
    assert "In test accuracy and training time together" not in text
    assert "**Disturbed**" not in text


OLD = dict.fromkeys(["train_flops_per_image", "predict_flops_per_image"]) | {"images_to": {}, "schema_version": 2}


def test_results_of_an_older_version_have_the_same_report_without_what_they_lack(tmp_path: Path) -> None:
    cells = make_cells(["backprop", "noprop-fm"], seeds=[0, 1], epochs=5, diagnostics=True, **OLD)
    text = whole(build_report(write_run(tmp_path / "run", cells)))
    assert "### Work" not in text
    assert "FLOP" not in text
    assert "Training seconds:" in text
    assert "Training images, each pass" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[entry.strip() for entry in line.strip("|").split("|")] for line in table.splitlines()]
        for header, _, *entries in zip(*rows, strict=True):
            assert set(entries) != {"–"} or header == "99%"  # which nobody reaches, and that is a result


def test_gpu_figures_add_a_table_and_a_bar_panel(tmp_path: Path) -> None:
    cells = make_cells(seeds=[0, 1], epochs=2, gpu_peak_allocated_bytes=300 * MIB, gpu_peak_reserved_bytes=400 * MIB)
    text = whole(build_report(write_run(tmp_path / "run", cells)))
    assert "peak GPU memory, MiB |   peak GPU memory reserved, MiB |" in text
    assert "peak GPU memory: backprop 300 MiB" in text
    plain = build_report(write_run(tmp_path / "cpu", make_cells(seeds=[0], epochs=2))).read_text()
    assert "peak GPU" not in plain
    assert "Peak GPU" not in plain


def test_one_seed_has_no_interval_in_any_table(tmp_path: Path) -> None:
    text = whole(build_report(write_run(tmp_path / "run", make_cells(seeds=[4], epochs=2))))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any("(one seed)" in line for line in tables)
    assert not any("±" in line for line in tables)
    assert "One seed per method" in text


def test_no_interval_of_an_accuracy_goes_beyond_0_or_100(tmp_path: Path) -> None:
    cells = [make_cell(seed=seed, test_accuracy=(1 + seed) / 3) for seed in range(2)]
    text = whole(build_report(write_run(tmp_path / "run", cells)))
    assert "| 50.00 (0.00 to 100.00) |" in text
    assert "± 211" not in text


def test_rows_that_say_how_credit_reaches_the_weights_get_groups(tmp_path: Path) -> None:
    cells = [make_cell(credit="whole", epochs=1), make_cell("noprop", credit="inside", epochs=1)]
    text = whole(build_report(write_run(tmp_path / "run", cells)))
    assert "| *inside*" in section(text, "### Accuracy and time")
    assert "| *inside*" not in section(text, "### Memory and size")


def test_a_run_without_backprop_says_so_instead_of_ratios(tmp_path: Path) -> None:
    text = whole(build_report(write_run(tmp_path / "run", make_cells(["noprop"], seeds=[0], epochs=1))))
    assert "`backprop` has no finished cell on mnist" in text
    assert "How to read it" not in text


def test_a_method_that_measured_next_to_nothing_still_gets_a_report(tmp_path: Path) -> None:
    measured = "val_accuracy test_accuracy train_seconds images_per_second eval_seconds peak_rss_bytes rss_rise_bytes "
    measured += "baseline_rss_bytes activation_bytes parameters epoch_definition data"
    nothing = dict.fromkeys(measured.split())
    bare = make_cell("noprop").model_copy(update={**nothing, "epochs": [], "activation_bytes_by_T": {}})
    for name, cells in (("alone", [bare]), ("beside", [bare, make_cell()])):
        text = whole(build_report(write_run(tmp_path / name, cells)))
        assert "| `noprop`" in text


def test_odd_data_set_names_get_figures_of_their_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(datasets=["a b", "A/B"], seeds=[0], epochs=1))
    names = {path.name for path in (build_report(run).parent / "figures").glob("*-memory.png")}
    assert names == {"a-b-memory.png", "a-b-2-memory.png"}


def test_the_newest_run_is_the_one_created_last_whatever_its_name_and_age_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = make_cells(seeds=[0], epochs=1)
    runs = tmp_path / "results" / "runs"
    for name, created in (
        ("z", "2026-01-01T00:00:00Z"),
        ("a", "2026-01-31T23:30:00Z"),
        ("m", "2026-02-01T00:00:00+01:00"),
    ):
        write_run(runs / name, cells, make_run(cells, created_at=created))
    (runs / "no-run").mkdir()
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    result = run_command()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "results/runs/a/report.md"
    assert "broken" in result.stderr
    assert newest_run(runs).name == "a"


def break_last_line(run: Path) -> None:
    path = run / CELLS_FILE
    path.write_bytes(path.read_bytes()[:-40])


def forget_cells(run: Path) -> None:
    (run / CELLS_FILE).unlink()


def only_failures(run: Path) -> None:
    (run / CELLS_FILE).write_bytes(encode(make_failed_cell()))


@pytest.mark.parametrize(
    ("damage", "words"),
    [(break_last_line, "line 2"), (forget_cells, "no cell of"), (only_failures, "no cell of")],
)
def test_results_that_cannot_be_reported_are_one_sentence_and_leave_nothing(
    damage: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0]))
    damage(run)
    before = files_in(tmp_path)
    result = run_command(run, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
    assert result.stdout == ""
    assert files_in(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_no_such_run_and_no_runs_at_all_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["nowhere"], [], ["one", "two"], ["no\nrun"], [""], ["x" * 5000], [".", "--out", ""]):
        result = run_command(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert re.fullmatch(r"error: [^\n]{1,200}\n", result.stderr)


@pytest.mark.parametrize("blocked", ["out", "out/figures"])
def test_a_folder_that_cannot_be_written_is_one_sentence(blocked: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    (tmp_path / blocked).parent.mkdir(exist_ok=True)
    (tmp_path / blocked).write_text("a file where a folder should be")
    result = run_command(run, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert re.fullmatch(r"error: cannot write the report to [^\n]+\n", result.stderr)
    assert files_in(tmp_path) == {"run/run.json", "run/cells.jsonl", blocked}
    with pytest.raises(ResultsError):
        build_report(run, tmp_path / "out")


@pytest.mark.parametrize("file", ["report.md", "details.md"])
def test_nothing_is_replaced_where_a_folder_has_a_page_s_name(file: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    (run / file).mkdir()
    before = files_in(tmp_path)
    result = run_command(run)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: cannot write the report to {run}: {run / file} is a folder\n"
    assert files_in(tmp_path) == before


def test_a_name_that_no_disk_takes_is_one_sentence(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    result = run_command(run, "--out", "x" * 5000)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: cannot write the report to x+\.\.\.x+: File name too long\n", result.stderr)


@pytest.mark.parametrize("backend", ["module://nowhere.backend_inline", "nonsense"])
def test_figures_need_no_backend_that_matplotlib_has(backend: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import os, reports.figures; print(os.environ['MPLBACKEND'])"],
        env=os.environ | {"MPLBACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert (found.stdout, found.stderr) == (f"{backend}\n", "")


def test_an_axis_of_accuracies_leaves_chance_level_out_only_where_it_hides_the_end() -> None:
    low, high, cropped = accuracy_limits(np.array([10.0, 11.0]), np.array([98.0, 99.0]), np.array([97.0, 98.5]))
    assert cropped
    assert low == 87.0
    assert high >= 99.0
    low, _, cropped = accuracy_limits(np.array([84.0, 92.0]), np.array([98.0, 99.0]), np.array([97.0, 98.5]))
    assert not cropped
    assert low < 84.0
    low, _, cropped = accuracy_limits(np.array([35.0, 92.0]), np.array([41.0, 99.0]), np.array([40.0, 98.5]))
    assert not cropped
    assert low < 35.0
