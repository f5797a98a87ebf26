"""What blocks learn: the numbers in the tables, the sentences, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from reports.build import build_report
from reports.figures.accuracy_by_step import AccuracyByStep
from reports.figures.blocks import Blocks
from reports.figures.blocks_by_epoch import MAX_METHODS, BlocksByEpoch
from reports.figures.figure import Figure, FigureFile
from reports.figures.style import method_styles
from reports.sections.diagnostics import blocks_table, section, steps_table
from reports.statistics.diagnostics import block_frame, methods_with_blocks, step_frame
from reports.view import DatasetView, arrange
from results.schema import BlockRecord, CellResult, DiagnosticsRecord, StepRecord
from tests.factories import (
    make_cell,
    make_cells,
    make_config,
    make_diagnostics,
    make_failed_cell,
    make_run,
    whole,
    write_run,
)
from tests.reports.test_tables import row

NAMES = {"blocks", "blocks-by-epoch", "accuracy-by-step"}


def view_of(cells: Sequence[CellResult]) -> DatasetView:
    return arrange(make_run(cells), cells).datasets[0]


def look(own: Sequence[float], weight: float | None = 2.0, steps: Sequence[float] = (0.1, 0.9)) -> DiagnosticsRecord:
    """Blocks with these accuracies on their own task (half of that from the image), and steps at equal distances."""
    return DiagnosticsRecord(
        images=500,
        blocks=[
            BlockRecord(
                number=k + 1,
                time=k / len(own),
                own_accuracy=accuracy,
                image_accuracy=accuracy / 2,
                denoising_error=0.1 / 10**k,
                snr_weight=weight,
            )
            for k, accuracy in enumerate(own)
        ],
        steps=[StepRecord(time=k / (len(steps) - 1), accuracy=accuracy) for k, accuracy in enumerate(steps)],
    )


def cell_with(
    *found: DiagnosticsRecord | None, method: str = "noprop", seed: int = 0, **overrides: object
) -> CellResult:
    """A cell with one epoch for each of the looks."""
    cell = make_cell(method, seed=seed, epochs=len(found), **overrides)
    epochs = [epoch.model_copy(update={"diagnostics": each}) for epoch, each in zip(cell.epochs, found, strict=True)]
    return cell.model_copy(update={"epochs": epochs})


def text_of(cells: Sequence[CellResult]) -> str:
    run = arrange(make_run(cells), cells)
    return section(run, run.datasets[0]) or ""


def table_rows(table: str) -> list[list[str]]:
    return [[entry.strip() for entry in line.strip("|").split("|")] for line in table.splitlines()]


def drawn(cells: Sequence[CellResult], folder: Path) -> dict[str, FigureFile]:
    data = view_of(cells)
    figures: tuple[Figure[DatasetView], ...] = (Blocks(), BlocksByEpoch(), AccuracyByStep())
    files = {
        figure.name: figure.write(data, folder, method_styles(data.families, data.reference), "x-")
        for figure in figures
    }
    return {name: file for name, file in files.items() if file is not None}


def test_the_table_has_means_over_seeds_of_the_last_epoch_alone() -> None:
    cells = [
        cell_with(look([0.1, 0.2]), look([0.80, 0.95]), seed=0),
        cell_with(look([0.1, 0.2]), look([0.90, 0.99]), seed=1),
    ]
    table = blocks_table(block_frame(view_of(cells), only_last=True))
    assert table_rows(table)[0][0] == "block"
    assert table_rows(table)[2:] == [
        ["1", "0.00", "85.00", "42.50", "0.100", "2.0"],
        ["2", "0.50", "97.00", "48.50", "0.010", "2.0"],
    ]


def test_a_frame_can_be_of_the_last_epoch_or_of_some_methods_alone() -> None:
    cells = [cell_with(look([0.1]), look([0.8])), cell_with(look([0.2]), None, method="noprop-fm")]
    data = view_of(cells)
    assert block_frame(data)["own_accuracy"].tolist() == [10.0, 80.0, 20.0]
    assert block_frame(data, only_last=True)["own_accuracy"].tolist() == [80.0]
    assert block_frame(data, methods=["noprop-fm"])["own_accuracy"].tolist() == [20.0]
    assert methods_with_blocks(data) == ["noprop", "noprop-fm"]


def test_one_network_has_times_instead_of_blocks_and_a_loss_without_weights_has_none() -> None:
    config = make_config(options={"steps": 40})
    cells = [cell_with(look([0.8, 0.9], weight=None), method="noprop-fm", config=config)]
    table = blocks_table(block_frame(view_of(cells), only_last=True))
    assert "block" not in table
    assert "weight" not in table
    assert table_rows(table)[2:] == [["0.00", "80.00", "40.00", "0.100"], ["0.50", "90.00", "45.00", "0.010"]]


def test_accuracy_by_step_is_a_row_a_method_and_holds_until_its_next_step() -> None:
    cells = [
        cell_with(look([0.8], steps=(0.1, 0.6, 0.9)), seed=0),
        cell_with(look([0.8], steps=(0.1, 0.8, 0.9)), seed=1),
        cell_with(look([0.8], steps=(0.1, 0.2, 0.3, 0.4, 0.5)), method="noprop[T=4]"),
    ]
    table = steps_table(step_frame(view_of(cells)))
    assert table_rows(table)[0] == ["stopped at time", "0", "0.25", "0.5", "0.75", "1"]
    assert row(table, "noprop") == ["10.00", "10.00", "70.00", "70.00", "90.00"]
    assert row(table, "noprop[T=4]") == ["10.00", "20.00", "30.00", "40.00", "50.00"]


def test_a_deep_stacks_steps_are_thinned_to_tenths() -> None:
    cells = [cell_with(make_diagnostics("noprop[T=20]"), method="noprop[T=20]")]
    header = table_rows(steps_table(step_frame(view_of(cells))))[0]
    assert header == ["stopped at time", "0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((0.1, 0.5, 0.896, 0.902, 0.90), "from time 0.5 on (step 2 of the 4 shown)"),
        ((0.1, 0.5, 0.894, 0.902, 0.90), "from time 0.75 on (step 3 of the 4 shown)"),
        # It was near once, and left again: that is not where it was decided.
        ((0.1, 0.9, 0.95, 0.96, 0.90), "from time 1 on (step 4 of the 4 shown)"),
        ((0.9, 0.9, 0.9, 0.9, 0.9), "from time 0 on (step 0 of the 4 shown)"),
    ],
)
def test_the_step_from_which_accuracy_is_near_its_end_is_named(steps: Sequence[float], said: str) -> None:
    assert f"`noprop` is within 0.5 points of its final 90.00% {said}." in text_of(
        [cell_with(look([0.8], steps=steps))]
    )


def test_what_is_read_from_the_image_is_said_for_the_first_and_the_last_block() -> None:
    said = text_of([cell_with(look([0.9, 0.8, 0.2]))])
    start = "Given the image and pure noise, `noprop` classifies"
    assert f"{start} 45.00% of the images correctly at time 0 and 10.00%" in said


def test_the_number_of_seeds_is_of_those_with_diagnostics() -> None:
    cells = [cell_with(look([0.8]), seed=0), cell_with(look([0.9]), seed=1), cell_with(None, seed=2)]
    assert "`noprop` after the last epoch, means over 2 seeds:" in text_of(cells)
    assert "| 1       |                0.00 |         85.00 |" in text_of(cells)
    assert "Measured on 500 validation images" in text_of(cells)


def test_a_method_without_blocks_has_steps_only(tmp_path: Path) -> None:
    cells = make_cells(["backprop"], epochs=2, diagnostics=True)
    said = text_of(cells)
    assert "| `backprop`" in said
    assert "*Own task*" not in said
    assert set(drawn(cells, tmp_path)) == {"accuracy-by-step"}


@pytest.mark.parametrize(
    "cells",
    [
        make_cells(epochs=2),
        [cell_with(None)],
        [cell_with(look([0.8]), None)],
        [cell_with(DiagnosticsRecord(images=5, blocks=[], steps=[]))],
        [make_cell().model_copy(update={"epochs": []})],
    ],
    ids=["version 1", "null", "not after the last epoch", "empty", "no epochs"],
)
def test_nothing_is_shown_where_nothing_was_looked_at_in_the_end(cells: list[CellResult], tmp_path: Path) -> None:
    assert text_of(cells) == ""
    assert drawn(cells, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_written_and_is_not_blank(tmp_path: Path) -> None:
    figures = drawn(make_cells(["backprop", "noprop", "noprop-fm"], seeds=[0, 1], epochs=2, diagnostics=True), tmp_path)
    assert set(figures) == NAMES
    for name, figure in figures.items():
        assert figure.file == f"x-{name}.png"
        with Image.open(tmp_path / figure.file) as image:
            assert image.width > 1000
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100
    assert "from the least to the most" in figures["blocks"].caption


def test_alternative_texts_hold_the_means(tmp_path: Path) -> None:
    cells = [cell_with(look([0.8, 0.9], steps=(0.1, middle, 0.9)), seed=k) for k, middle in enumerate((0.5, 0.6))]
    figures = drawn(cells, tmp_path)
    assert figures["accuracy-by-step"].alt.endswith("Half way: noprop 55.00%.")
    assert figures["blocks"].alt.endswith("First block's own task: noprop 80.00%.")


def test_one_epoch_has_no_figure_by_epoch_and_one_seed_is_called_one(tmp_path: Path) -> None:
    figures = drawn(make_cells(seeds=[0], epochs=1, diagnostics=True), tmp_path)
    assert set(figures) == NAMES - {"blocks-by-epoch"}
    assert figures["blocks"].caption.endswith("One seed per method.")


def test_methods_beyond_the_limit_are_left_out_of_a_figure_and_that_is_said(tmp_path: Path) -> None:
    methods = [f"noprop[eta={k}]" for k in range(MAX_METHODS + 1)]
    cells = make_cells(methods, seeds=[0], epochs=2, diagnostics=True)
    figures = drawn(cells, tmp_path)
    assert "3 of 4 methods are shown, NoProp's first." in figures["blocks-by-epoch"].caption
    assert methods[-1] not in figures["blocks-by-epoch"].alt
    assert methods[-1] in figures["blocks"].alt
    assert "shown" not in figures["blocks"].caption
    assert all(f"`{method}` after the last epoch" in text_of(cells) for method in methods)


def test_losses_without_weights_are_drawn(tmp_path: Path) -> None:
    assert set(drawn(make_cells(["noprop-fm"], seeds=[0], epochs=2, diagnostics=True), tmp_path)) == NAMES


def test_odd_stacks_are_drawn(tmp_path: Path) -> None:
    perfect = look([1.0], weight=0.0).model_copy(
        update={"blocks": [look([1.0], weight=0.0).blocks[0].model_copy(update={"denoising_error": 0.0})]}
    )
    cells = [cell_with(perfect, perfect), cell_with(look([0.5] * 30), look([0.6] * 30), method="noprop[T=30]")]
    assert set(drawn(cells, tmp_path)) == NAMES


def test_a_report_has_the_section_last_and_survives_cells_that_lack_it(tmp_path: Path) -> None:
    cells = [
        *make_cells(seeds=[0], epochs=2, diagnostics=True),
        make_cell("noprop", seed=1, epochs=2),
        make_failed_cell("backprop", seed=1),
        make_cell("noprop", "digits", epochs=1),
    ]
    text = whole(build_report(write_run(tmp_path / "run", cells)))
    assert text.count("### What each block learns") == 1
    assert text.index("### Activation memory against depth") < text.index("### What each block learns")
    assert text.index("### What each block learns") < text.index("## Results: digits")
    assert all(f"](figures/mnist-{name}.png)" in text for name in NAMES)
    assert not list((tmp_path / "run" / "figures").glob("digits-*block*"))
