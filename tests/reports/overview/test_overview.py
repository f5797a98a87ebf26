"""The page: the committed one is what its command makes of the committed rows; partial evidence; bad input."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from methods.core import registry
from reports.overview import main
from reports.overview.answer import headline, sentences
from reports.overview.labels import DEFAULTS
from reports.overview.overview import CHAIN as CHAIN_NAME
from reports.overview.overview import Overview, chain, control
from reports.overview.page import PAGE_FILE, build_overview, overview_page
from reports.overview.referee import answers
from reports.overview.sources import read_sources
from results.answers import pack
from results.grid import GridPoint, GridRecord, write_grid
from results.schema import CellResult
from results.store import CELLS_FILE
from tests.factories import make_cell, make_cells, make_config, make_data, make_run, write_run
from tests.reports.overview.test_pooling import race, source

REFERENCE = Path(__file__).resolve().parents[3] / "results" / "reference"
FIGURE = Path("figures") / "overview.csv"
CHAIN, ENSEMBLE = "noprop[sampler=mean]", "backprop-ensemble"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def page_of(*cells: CellResult) -> str:
    return overview_page(Overview([source("run", *cells)], [], Path()))


def sure_cells(accuracies: dict[str, float], seeds: int = 5) -> list[CellResult]:
    """Cells whose answers differ from method to method in so many of 10,000 images that chance is out of question."""
    images = np.arange(10_000)
    cells = []
    for method, accuracy in accuracies.items():
        for seed in range(seeds):
            right = (images + 7 * seed) % 10_000 < round(10_000 * accuracy)
            answers = {"test_accuracy": accuracy, "test_correct": pack(right)}
            cells.append(make_cell(method, seed=seed, data=make_data(n_test=10_000), **answers))
    return cells


def test_the_committed_page_and_figure_are_made_from_the_committed_rows(tmp_path: Path) -> None:
    build_overview(sorted(REFERENCE.iterdir()), tmp_path, base=REFERENCE)
    again, committed = ((folder / PAGE_FILE).read_text(encoding="utf-8") for folder in (tmp_path, REFERENCE))
    assert again == committed, "run `make overview`, and commit what it writes"
    drawn, kept = (pd.read_csv(folder / FIGURE) for folder in (tmp_path, REFERENCE))
    pd.testing.assert_frame_equal(drawn, kept, rtol=1e-6)
    assert "<style>" in (tmp_path / "overview.html").read_text(encoding="utf-8")


def test_the_page_has_thirty_published_figures_ten_answers_and_eleven_questions() -> None:
    text = page_of(*make_cells())
    answer, beside, asked = (
        text.split(f"\n## {title}\n")[1].split("\n## ")[0]
        for title in ("The answer", "Beside the paper", "What a referee and an engineer would ask")
    )
    assert sum(line.startswith(("| MNIST", "| CIFAR")) for line in beside.splitlines()) >= 30
    for part, count in ((answer, 10), (asked, 11)):
        numbers = [line.split(".")[0] for line in part.splitlines() if line[:1].isdigit()]
        assert numbers == [str(n) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (0.97, "Denoising beats an average of as many independent classifiers on mnist (5 epochs)"),
        (0.93, "it loses to it.**"),
    ],
)
def test_the_headline_says_what_denoising_adds(chain: float, said: str) -> None:
    cells = sure_cells({"backprop": 0.95, CHAIN: chain, ENSEMBLE: 0.95})
    assert said in headline(Overview([source("run", *cells)], [], Path()))


def test_a_difference_that_chance_explains_is_no_answer() -> None:
    cells = [make_cell(m, seed=seed) for m in ("backprop", "noprop", ENSEMBLE) for seed in range(2)]
    page = Overview([source("run", *cells)], [], Path())
    assert headline(page).startswith("**Nothing shows that denoising beats")
    assert "undecided" in sentences(page)[1].lower()


def test_a_reference_with_a_former_default_is_named_in_the_headline() -> None:
    old = make_config(options={"T": 10, "features": "flatten", "head_scale": 1.0})
    cells = [
        each.model_copy(update={"config": old}) if each.method_name == "backprop" else each
        for each in sure_cells({"backprop": 0.93, CHAIN: 0.95, ENSEMBLE: 0.95})
    ]
    said = headline(Overview([source("run", *cells)], [], Path()))
    assert "- Against backprop: more accurate on mnist (5 epochs; `backprop[head_scale=1.0]`)." in said


def test_each_sentence_says_what_is_missing() -> None:
    said = sentences(Overview([source("run", *make_cells())], [], Path()))
    assert "no comparison has a chain of NoProp and `backprop-ensemble`" in said[1]
    assert "no comparison has a chain of NoProp and a race" in said[4]
    assert "no comparison has a chain of NoProp and `backprop-checkpoint`" in said[6]
    assert "no row of 6 ran on one" in said[9]


def test_a_sentence_has_its_numbers_and_the_run_that_has_them() -> None:
    page = Overview([source("timed", *make_cells(), race=race("noprop", ratio=2.0))], [], Path())
    text = sentences(page)[4]
    assert "takes 2.00 times as long as `backprop`" in text
    assert "`timed`" in text
    assert "Example CPU" in text


def test_times_of_another_machine_stand_apart() -> None:
    runs = [source("here", *make_cells(), race=race("noprop", ratio=2.0))]
    runs += [source("there", *make_cells(), race=race("noprop", cpu="Other CPU", ratio=9.0))]
    main_table, others = overview_page(Overview(runs, [], Path())).split("### Time on other machines")
    assert "2.00 ?" in main_table or "2.00 ✗" in main_table
    assert "| Other CPU (2 threads of 8 cores)" in others.split("\n## ")[0]


def test_noprop_alone_makes_a_page_that_says_it_cannot_answer() -> None:
    text = page_of(make_cell("noprop"))
    assert "**These runs cannot say**" in text
    assert "No two methods were trained under the same conditions." in text
    assert "### Without a reference" in text
    assert "| mnist, 5 epochs" in text


def test_folders_that_are_no_runs_are_passed_over_and_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells())
    for name, file in (("search", "study.jsonl"), ("sweep", "scale.json"), ("noise", "calibration.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    unfinished = write_run(tmp_path / "unfinished", [], make_run(make_cells()))
    (tmp_path / "README.md").touch()
    done = call(*sorted(tmp_path.iterdir()))
    assert done.exit_code == 0, done.output
    text = (tmp_path / PAGE_FILE).read_text(encoding="utf-8")
    assert "Passed over, since they are no runs to compare: 4 (" in text
    assert all(f"`{name}`" in text for name in ("search", "sweep", "noise", unfinished.name))
    assert f"| `{run.name}`" in text
    again = call(*sorted(tmp_path.iterdir()))  # with the files of the first page among them
    assert again.exit_code == 0
    assert (tmp_path / PAGE_FILE).read_text(encoding="utf-8") == text


def test_a_sweep_over_depths_is_evidence_and_one_judged_on_validation_images_is_not(tmp_path: Path) -> None:
    methods = [f"{name}[T={depth}]" for name in ("backprop", "noprop") for depth in (2, 10)]
    for folder, cells in (
        ("depths", make_cells(methods)),
        ("rates", make_cells(methods, test_accuracy=None)),
    ):
        points = [GridPoint(method=c.method_name, value=2, cell=c) for c in make_run(cells).cells]
        run = write_run(tmp_path / folder, cells)
        (run / "run.json").unlink()
        write_grid(run, GridRecord(created_at="2026-03-01", commands=["bench.scale"], setting="T", points=points))
    page = Overview(*read_sources([tmp_path / "depths", tmp_path / "rates"]), tmp_path)
    assert [(each.name, each.why.split(":")[0]) for each in page.skipped] == [("rates", "no test accuracy")]
    (only,) = page.comparisons
    assert only.data.reference == "backprop[T=10]"
    said = answers(page)[8]
    assert re.search(r"NoProp with inference by sampling is, from backprop of its depth, .* T = 2 and .* T = 10", said)


def test_depths_are_compared_with_one_form_of_inference() -> None:
    accuracies = {f"backprop[T={depth}]": 0.9 for depth in (2, 10, 20)}
    accuracies |= {"noprop[T=2]": 0.91, "noprop[T=10]": 0.92, "noprop[T=10,sampler=mean]": 0.99, "noprop[T=20]": 0.93}
    cells = []
    for each in sure_cells(accuracies):
        options: dict[str, object] = {"T": int(re.findall(r"T=(\d+)", each.method)[0]), "features": "flatten"}
        if each.method.startswith("noprop"):
            options["sampler"] = "mean" if "mean" in each.method else "ancestral"
        cells.append(each.model_copy(update={"config": make_config(options=options)}))
    said = answers(Overview([source("run", *cells)], [], Path()))[8]
    found = re.findall(r"([+−][\d.]+) points \([^)]*\) with 5 seeds at T = (\d+)", said)
    assert found == [("+1.00", "2"), ("+2.00", "10"), ("+3.00", "20")]


def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    empty, damaged, out = tmp_path / "empty", write_run(tmp_path / "damaged", make_cells()), tmp_path / "out"
    empty.mkdir()
    (damaged / CELLS_FILE).write_text("nonsense\n")
    for given, said in (
        (tmp_path / "nothing", "does not exist"),
        ("x" * 5000, "does not exist"),
        (empty, "there is no run with a finished cell among the folders given"),
        (damaged, "line 1 of"),
    ):
        done = call(given, "--out", out)
        assert done.exit_code == 2
        assert done.output.startswith("error: ")
        assert said in done.output
        assert done.output.count("\n") == 1
        assert not out.exists()


def test_a_difference_within_the_margin_that_is_more_than_chance_is_told() -> None:
    cells = sure_cells({"backprop": 0.95, CHAIN: 0.952, ENSEMBLE: 0.954})
    page = Overview([source("run", *cells)], [], Path())
    assert "- Against the ensemble: 0.20 points behind, within the margin, on mnist (5 epochs)." in headline(page)
    assert "- Against backprop: as accurate within the margin on mnist" in headline(page)
    assert "Equivalent, slightly behind on mnist (5 epochs)" in sentences(page)[1]
    assert "Equivalent, slightly ahead on mnist (5 epochs)" in sentences(page)[0]


def test_a_training_of_few_steps_is_used_for_its_times_alone() -> None:
    short = [
        each.model_copy(update={"data": make_data(n_test=10_000, n_train=1_280)})
        for each in make_cells(["backprop", "noprop"], epochs=1)
    ]
    both = Overview([source("run", *make_cells()), source("times", *short)], [], Path())
    assert [each.name for each in both.comparisons] == ["mnist (5 epochs)"]
    assert "No accuracy is read from fewer than 100 steps of training: mnist (1 epoch)" in overview_page(both)
    alone = Overview([source("times", *short)], [], Path())  # better than nothing
    assert [each.name for each in alone.comparisons] == ["mnist (1 epoch)"]


def test_the_plain_cnn_stands_in_for_backprop_only_where_that_is_said() -> None:
    cells = sure_cells({"backprop-plain": 0.95, CHAIN: 0.90, ENSEMBLE: 0.96})
    page = Overview([source("run", *cells)], [], Path())
    assert page.comparisons[0].data.reference == "backprop-plain"
    assert "Against the ensemble" in headline(page)
    assert "Against backprop" not in headline(page)
    assert sentences(page)[0].startswith("**Does NoProp reach backprop's accuracy?** It cannot be said")
    assert "Worse on mnist (5 epochs)" in sentences(page)[3]
    assert "Compared with `backprop-plain`, since `backprop` is missing: mnist (5 epochs)." in overview_page(page)


def test_one_seed_is_said_beside_its_verdict() -> None:
    cells = sure_cells({"backprop": 0.95, CHAIN: 0.99, ENSEMBLE: 0.90}, seeds=1)
    page = Overview([source("run", *cells)], [], Path())
    assert "- Against the ensemble: 9.00 points ahead, with one seed, on mnist (5 epochs)." in headline(page)
    assert "; one seed: over test images alone)" in sentences(page)[0]
    unknown = [each.model_copy(update={"test_correct": None}) for each in cells]
    alike = Overview([source("run", *unknown)], [], Path())
    assert "- Against the ensemble: undecided with one seed on mnist (5 epochs)." in headline(alike)
    assert "(one seed: no interval)" in sentences(alike)[0]
    assert "with one seed, which shows nothing of others" in sentences(page)[7]


def test_a_lucky_seed_is_not_the_best_method_where_others_have_five() -> None:
    cells = sure_cells({"backprop": 0.95, CHAIN: 0.96}) + sure_cells({"noprop[T=2]": 0.99}, seeds=1)
    said = sentences(Overview([source("run", *cells)], [], Path()))
    assert f"the most accurate is `{CHAIN}` (96.00% with 5 seeds" in said[7]
    assert "More seeds: in 0 of 1 comparison, NoProp or the reference has fewer than five." in said[9]


def test_both_forms_of_inference_are_told_where_both_were_run() -> None:
    cells = [
        each.model_copy(update={"config": make_config(options={"T": 10, "features": "flatten", "sampler": sampler})})
        for method, sampler in (("backprop", None), ("noprop", "ancestral"), (CHAIN, "mean"))
        for each in sure_cells({method: {"backprop": 0.95, "noprop": 0.90, CHAIN: 0.97}[method]})
    ]
    page = Overview([source("run", *cells)], [], Path())
    assert (
        "- Against backprop, with inference by sampling, where both were run: less accurate on mnist (5 epochs)."
        in headline(page)
    )
    assert re.search(r"by sampling, `noprop` 90.00%, −5.00 points \(.*\) with 5 seeds: worse", sentences(page)[0])


def test_of_two_labels_of_one_chain_the_one_with_most_seeds_stands_for_sampling() -> None:
    by_label = {
        "noprop[T=10]": (1, "ancestral"),
        "noprop": (4, "ancestral"),
        "noprop[sampler=replace]": (5, "replace"),
        CHAIN: (5, "mean"),
        "backprop": (5, None),
    }
    cells = [
        each.model_copy(update={"config": make_config(options={"T": 10, "features": "flatten", "sampler": sampler})})
        for label, (seeds, sampler) in by_label.items()
        for each in sure_cells({label: 0.9}, seeds=seeds)
    ]
    assert "by sampling, `noprop` 90.00%" in sentences(Overview([source("run", *cells)], [], Path()))[0]


def test_a_method_without_activations_is_in_the_figure_and_the_leanest(tmp_path: Path) -> None:
    cells = [each.model_copy(update={"activation_bytes_by_T": {"10": 0}}) for each in make_cells()]
    cells += make_cells(["dfa"], activation_bytes=0)
    run = write_run(tmp_path / "run", cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = build_overview([run], tmp_path / "out").read_text(encoding="utf-8")
    assert "the leanest `dfa` (0 times)" in text
    assert "Marks on the left edge cost nothing" in text


def test_rows_with_today_s_default_come_first_and_are_compared_with_their_like() -> None:
    cells = [
        make_cell(f"{method}{label}", config=make_config(options={"T": depth, "features": features}))
        for method, depth in (("backprop", 10), ("noprop", 10), (ENSEMBLE, 10))
        for features, label in (("mean", ""), ("flatten", "[features=flatten]"))
    ]
    cells.append(make_cell("noprop[T=1]", config=make_config(options={"T": 1, "features": "mean"})))
    page = Overview([source("run", *cells)], [], Path())
    (each,) = page.comparisons
    assert each.data.reference == "backprop[features=flatten]"
    assert (chain(each), control(each, ENSEMBLE)) == ("noprop[features=flatten]", f"{ENSEMBLE}[features=flatten]")
    assert "`noprop[features=mean]` " in sentences(page)[2]


@pytest.mark.parametrize(
    ("name", "keys"),
    [(CHAIN_NAME, {"features"}), ("backprop", {"features", "head_scale"}), ("backprop-plain", {"features"})],
)
def test_what_is_called_today_s_default_is_that_of_the_methods(name: str, keys: set[str]) -> None:
    options = registry.get(name).Options().as_dict()
    assert {key: options[key] for key in DEFAULTS.keys() & options.keys()} == {key: DEFAULTS[key] for key in keys}


def test_several_data_sets_are_told_one_by_one_and_rows_of_a_card_are_counted() -> None:
    cells = make_cells(datasets=("mnist", "digits"))
    on_card = cells[0].model_copy(update={"config": cells[0].config.model_copy(update={"device": "cuda:0"})})
    said = sentences(Overview([source("run", on_card, *cells[1:])], [], Path()))
    assert [line.partition(":")[0].strip(" -") for line in said[5].splitlines()[1:]] == [
        "Better on digits (5 epochs)",
        "Better on mnist (5 epochs)",
    ]
    assert "1 row of 12 ran on one" in said[9]
