"""The table beside the paper's figures: the numbers in it, and what is said of how the runs differ."""

from __future__ import annotations

from typing import Any

import pytest

from reports.sections import paper
from reports.view import DatasetView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_config, make_data, make_failed_cell, make_run
from tests.reports.test_tables import column, row

AS_THE_PAPER = {"epochs": 100, "optimizer": "AdamW", "options": {"T": 10, "eta": 0.1, "embedding": "onehot"}}
ALL = {"n_train": 54_000, "n_train_available": 54_000, "n_val": 6_000}
OURS, DIFFERENCE = "ours, %", "difference, points"


def cell(method: str = "noprop", seed: int = 0, dataset: str = "mnist", **overrides: Any) -> CellResult:
    """A cell with the paper's settings; `config` and `data` change single fields of theirs."""
    config = make_config(**(AS_THE_PAPER | overrides.pop("config", {})))
    data = make_data(**(ALL | overrides.pop("data", {})))
    return make_cell(method, dataset, seed, config=config, data=data, **overrides)


def view_of(*cells: CellResult, planned: list[CellResult] | None = None) -> DatasetView:
    return arrange(make_run(planned or cells), cells).datasets[0]


def section(*cells: CellResult) -> str:
    run = arrange(make_run(cells), cells)
    return paper.section(run, run.datasets[0]) or ""


def differences(*cells: CellResult) -> list[str]:
    return paper.differences(paper.comparisons(view_of(*cells)))


def table_of(*cells: CellResult) -> str:
    data = view_of(*cells)
    return paper.table(data, paper.comparisons(data))


def test_the_row_has_our_interval_the_papers_figure_and_the_signed_difference() -> None:
    accuracies = {0: 0.96, 1: 0.98, 2: 0.97}
    table = table_of(*(cell(seed=seed, test_accuracy=value) for seed, value in accuracies.items()))
    # s = 1 point, t(2) = 4.3027: 4.3027 / sqrt(3) = 2.48; 97.00 - 99.47 = -2.47
    expected = ["NoProp-DT, one-hot", "3", "97.00 ± 2.48", "99.47", "−2.47", "100 × 54,000", "100"]
    assert row(table, "noprop") == expected


def test_more_accurate_than_the_paper_is_above_zero() -> None:
    cells = [cell("noprop-ct", test_accuracy=0.9884, config={"options": {"embedding": "onehot"}})]
    assert column(table_of(*cells), "noprop-ct", DIFFERENCE) == "+1.00"
    assert column(table_of(*cells), "noprop-ct", OURS) == "98.84 (one seed)"


def test_variants_of_a_method_have_rows_of_their_own_beside_the_same_figure() -> None:
    variant = {"options": AS_THE_PAPER["options"] | {"sampler": "mean"}}
    table = table_of(cell(), cell("noprop[sampler=mean]", config=variant), cell("backprop"))
    assert [row(table, method)[0] for method in ("noprop", "noprop[sampler=mean]", "backprop")] == [
        "NoProp-DT, one-hot",
        "NoProp-DT, one-hot",
        "Backprop, one-hot",
    ]


def test_failed_cells_do_not_count_and_are_seen_to_be_missing() -> None:
    data = view_of(cell(), make_failed_cell("noprop", seed=1), planned=[cell(), cell(seed=1)])
    assert row(paper.table(data, paper.comparisons(data)), "noprop")[1] == "1 of 2"
    assert paper.comparisons(view_of(make_failed_cell("noprop"))) == []


def test_cells_without_data_or_accuracy_still_have_a_row() -> None:
    bare = cell().model_copy(update={"data": None, "test_accuracy": None})
    assert row(table_of(bare), "noprop")[2:] == ["–", "99.47", "–", "100 × –", "100"]
    assert "100 epochs on – images" in differences(bare)[0]


def test_without_a_matching_row_there_is_no_section() -> None:
    assert section(cell(dataset="digits")) == ""
    assert section(cell(config={"options": {"T": 20, "embedding": "onehot"}})) == ""
    assert section(cell("noprop-attached")) == ""
    assert section(cell()).startswith("### Beside the paper\n")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"config": {"epochs": 7}}, "7 epochs instead of 100, on 54,000 images: not a reproduction."),
        ({"config": {"epochs": 1}}, "1 epoch instead of 100, on 54,000 images: not a reproduction."),
        ({"config": {"epochs": 200}}, "200 epochs instead of 100, on 54,000 images: not a reproduction."),
        (
            {"data": {"n_train": 10_000}},
            "100 epochs, as in the paper, on 10,000 of the 54,000 images: not a reproduction.",
        ),
        (
            {"data": {"partial": True}},
            "54,000 images of files that contain only part of the published data set: not a reproduction.",
        ),
        ({"config": {"optimizer": "Adam"}}, "54,000 images; optimiser Adam instead of AdamW: not a reproduction."),
        (
            {"config": {"lr": 0.01, "batch_size": 64}},
            "; batch size 64 instead of 128, learning rate 0.01 instead of 0.001:",
        ),
        ({"config": {"weight_decay": 0.0}}, "; weight decay 0 instead of 0.001:"),
        ({"config": {"lr_schedule": "cosine"}}, "; learning-rate schedule cosine instead of constant: not a"),
        ({"config": {"amp": True, "clip": 1.0}}, "; precision bfloat16 instead of float32, gradient clipping 1 "),
        ({"config": {"ema": 0.99}}, "; weight averaging 0.99 instead of none: not a reproduction."),
        ({"config": {"augment": "standard"}}, "; augmentation standard instead of none: not a reproduction."),
    ],
)
def test_what_differs_from_the_papers_training_is_said(overrides: dict[str, Any], said: str) -> None:
    (sentence,) = differences(cell(**overrides))
    assert said in sentence


def test_whether_images_were_augmented_is_said() -> None:
    assert "No augmentation, in the paper or here." in section(cell())
    augmented = section(cell(), cell("backprop", config={"augment": "standard"}))
    assert "No augmentation in the paper; what was done here is under [Data](#data)." in augmented
    assert "in the paper or here" not in augmented


def test_training_as_in_table_3_is_not_called_something_else() -> None:
    (sentence,) = differences(cell("backprop"), cell())
    assert sentence == (
        "`backprop`, `noprop`: 100 epochs on 54,000 images (6,000 more are held out for validation): epochs, optimiser "
        "and hyperparameters are those of the paper's table 3."
    )


def test_options_that_table_3_has_are_compared_and_methods_with_the_same_difference_share_a_sentence() -> None:
    options = {"steps": 40, "embedding": "onehot"}
    found = differences(
        cell(config={"options": AS_THE_PAPER["options"] | {"eta": 1.0}}),
        cell("noprop-ct", config={"options": options | {"eta": 1.0}, "optimizer": "Adam"}),
        cell("noprop-fm", config={"options": options, "optimizer": "Adam"}),
    )
    assert found == [
        "`noprop`: 100 epochs, as in the paper, on 54,000 images; eta 1 instead of 0.1: not a reproduction.",
        "`noprop-ct`, `noprop-fm`: 100 epochs, as in the paper, on 54,000 images; steps 40 instead of 1,000: "
        "not a reproduction.",
    ]


def test_methods_that_only_the_paper_has_are_context() -> None:
    assert "Forward-Forward 98.63%" in section(cell())
    cifar = section(cell(dataset="cifar10"))
    assert "Difference target propagation 50.71%" in cifar
    assert "Forward-Forward" not in cifar
    assert "quotes methods" not in section(cell(dataset="cifar100"))


def test_methods_that_the_paper_only_quotes_are_named_and_held_against_nothing() -> None:
    text = section(cell("forward-forward", config={"options": {}}))
    assert "Forward-Forward 98.63% (here `forward-forward`)" in text
    assert "arXiv 2503.24322" in text
    assert "Difference target propagation 98.06% (arXiv" in text
    assert "|" not in text
    assert section(cell("dfa", config={"options": {}})) == ""
    assert section(cell("forward-forward", dataset="cifar10", config={"options": {}})) == ""  # no figure of it there
    assert section(cell("forward-forward", dataset="digits", config={"options": {}})) == ""


def test_gpu_memory_of_the_paper_stands_beside_measured_one_hot_methods_only() -> None:
    measured = {"gpu_process_bytes": 900 * MIB}
    learned = {"options": AS_THE_PAPER["options"] | {"embedding": "learned"}}
    said = paper.gpu_memory(view_of(cell(**measured), cell("noprop[T=10]", **measured), cell("backprop")))
    assert said is not None
    assert "with one-hot embeddings, in the paper's table 2 (arXiv 2503.24322): `noprop` 0.49 GB. " in said
    assert paper.gpu_memory(view_of(cell(), cell("backprop"))) is None
    assert paper.gpu_memory(view_of(cell(config=learned, **measured))) is None
    assert paper.gpu_memory(view_of(cell(dataset="digits", **measured))) is None
