"""Beside every figure: the same as SVG, and the numbers that are drawn in it as CSV."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import pandas as pd
import pytest

from reports.build import build_report
from reports.figures.seeds import MAX_DOTS
from results.schema import CellResult
from tests.factories import MIB, make_cells, make_config, make_machine, write_run

METHODS = ["backprop", "noprop", "noprop[T=20,eta=0.5]"]
SERIES = [(0.0, 520 * MIB), (1.5, 600 * MIB), (3.0, 580 * MIB)]
NAMES = {
    *(
        "differences",
        "accuracy-by-epoch",
        "accuracy-by-time",
        "trade-off",
        "memory",
        "memory-over-time",
        "activations-by-depth",
    ),
    *("blocks", "blocks-by-epoch", "accuracy-by-step"),
}


def figures_of(cells: list[CellResult], folder: Path) -> Path:
    return build_report(write_run(folder / "run", cells)).parent / "figures"


@pytest.fixture(scope="module")
def cells() -> list[CellResult]:
    watched = make_machine(rss_series=SERIES)
    return make_cells(METHODS, seeds=range(3), epochs=4, diagnostics=True, machine=watched)


@pytest.fixture(scope="module")
def figures(cells: list[CellResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_of(cells, tmp_path_factory.mktemp("runs"))


def of(cells: list[CellResult], method: str) -> list[CellResult]:
    return [cell for cell in cells if cell.method == method]


def numbers(figures: Path, name: str, **where: object) -> pd.DataFrame:
    """The rows of a figure's numbers that have these entries."""
    frame = pd.read_csv(figures / f"mnist-{name}.csv", dtype={"seed": str})
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert not frame.empty
    return frame


def test_every_figure_has_both_and_all_methods_in_them(figures: Path) -> None:
    assert {path.stem.removeprefix("mnist-") for path in figures.iterdir()} == NAMES
    for name in NAMES:
        root = ElementTree.parse(figures / f"mnist-{name}.svg").getroot()
        words = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
        shown = set(numbers(figures, name)["method"])
        assert {"noprop", "noprop[T=20,eta=0.5]"} <= shown <= words


def test_files_have_neither_a_date_nor_the_version_of_a_library(figures: Path) -> None:
    for path in figures.glob("*.svg"):
        text = path.read_text()
        assert "<dc:date>" not in text
        assert "Matplotlib v" not in text


def test_accuracies_by_epoch_are_means_their_range_and_single_seeds(cells: list[CellResult], figures: Path) -> None:
    ours = of(cells, "noprop")
    accuracies = [[100 * epoch.test_accuracy for epoch in cell.epochs] for cell in ours]
    means = numbers(figures, "accuracy-by-epoch", method="noprop", accuracy_of="test", seed="mean")
    assert means["epoch"].tolist() == [1, 2, 3, 4]
    assert means["accuracy_percent"].tolist() == pytest.approx([fmean(each) for each in zip(*accuracies, strict=True)])
    assert means["least_of_seeds_percent"].tolist() == pytest.approx([min(e) for e in zip(*accuracies, strict=True)])
    assert means["most_of_seeds_percent"].tolist() == pytest.approx([max(e) for e in zip(*accuracies, strict=True)])
    one = numbers(figures, "accuracy-by-epoch", method="noprop", accuracy_of="test", seed="2")
    assert one["accuracy_percent"].tolist() == pytest.approx(accuracies[2])
    assert one["least_of_seeds_percent"].isna().all()


def test_accuracies_by_time_have_the_training_time_spent(cells: list[CellResult], figures: Path) -> None:
    last = numbers(figures, "accuracy-by-time", method="backprop", epoch=4)
    assert set(last["seed"]) == {"mean", "0", "1", "2"}
    seconds = [sum(epoch.train_seconds for epoch in cell.epochs) for cell in of(cells, "backprop")]
    assert last["training_time_seconds"].tolist() == pytest.approx([fmean(seconds), *seconds])
    final = [100 * cell.epochs[-1].val_accuracy for cell in of(cells, "backprop")]
    assert last["validation_accuracy_percent"].tolist() == pytest.approx([fmean(final), *final])


def test_costs_have_their_unit_their_range_and_who_is_on_the_front(cells: list[CellResult], figures: Path) -> None:
    rows = numbers(figures, "trade-off", cost_of="training time", seed="mean").set_index("method")
    assert set(rows["cost_unit"]) == {"s"}
    for method in METHODS:
        seconds = [cell.train_seconds or 0 for cell in of(cells, method)]
        assert rows.loc[method, "cost"] == pytest.approx(fmean(seconds))
        assert rows.loc[method, "cost_most_of_seeds"] == pytest.approx(max(seconds))
    accurate = rows["test_accuracy_percent"].idxmax()
    assert rows.loc[accurate, "on_pareto_front"]
    held = numbers(figures, "trade-off", cost_of="activation memory", method="noprop", seed="1")
    assert held["cost"].tolist() == [14.0]


def test_bars_of_memory_are_in_mib(cells: list[CellResult], figures: Path) -> None:
    rises = [(cell.rss_rise_bytes or 0) / MIB for cell in of(cells, "noprop")]
    bar = numbers(figures, "memory", memory="peak memory increase", method="noprop", seed="mean").iloc[0]
    assert bar["mib"] == pytest.approx(fmean(rises))
    assert (bar["least_of_seeds_mib"], bar["most_of_seeds_mib"]) == pytest.approx((min(rises), max(rises)))
    dots = numbers(figures, "memory", memory="peak memory increase", method="noprop").iloc[1:]
    assert dots["mib"].tolist() == pytest.approx(rises)


def test_memory_over_time_is_that_of_the_first_seed(figures: Path) -> None:
    samples = numbers(figures, "memory-over-time", method="noprop")
    assert set(samples["seed"]) == {"0"}
    assert samples["time_since_training_began_seconds"].tolist() == [0.0, 1.5, 3.0]
    assert samples["memory_above_baseline_mib"].tolist() == [0.0, 80.0, 60.0]


def test_activations_are_by_depth(figures: Path) -> None:
    rows = numbers(figures, "activations-by-depth", method="noprop")
    assert rows["T"].tolist() == [2, 5, 10, 20]
    assert rows["activations_mean_of_seeds_mib"].tolist() == [14.0] * 4


def test_what_blocks_learn_is_there_by_time_by_epoch_and_by_step(cells: list[CellResult], figures: Path) -> None:
    ends = [cell.epochs[-1].diagnostics for cell in of(cells, "noprop")]
    own = [100 * end.blocks[0].own_accuracy for end in ends if end]
    first = numbers(figures, "blocks", method="noprop", quantity="own_accuracy", unit="percent").iloc[0]
    assert first["time"] == 0.0
    assert first["mean_of_seeds"] == pytest.approx(fmean(own))
    assert (first["least_of_seeds"], first["most_of_seeds"]) == pytest.approx((min(own), max(own)))
    last = numbers(figures, "blocks-by-epoch", method="noprop", block=1, epoch=4)
    assert last["own_accuracy_mean_of_seeds_percent"].tolist() == pytest.approx([fmean(own)])
    steps = [100 * end.steps[-1].accuracy for end in ends if end]
    end = numbers(figures, "accuracy-by-step", method="noprop", time=1.0)
    assert end["accuracy_mean_of_seeds_percent"].tolist() == pytest.approx([fmean(steps)])


def test_single_seeds_that_are_not_drawn_are_not_there(tmp_path: Path) -> None:
    figures = figures_of(make_cells(seeds=range(MAX_DOTS + 1), epochs=2), tmp_path)
    for name in ("accuracy-by-epoch", "accuracy-by-time", "trade-off", "memory"):
        assert set(numbers(figures, name)["seed"]) == {"mean"}


def test_a_loss_without_weights_has_no_rows_of_them(tmp_path: Path) -> None:
    figures = figures_of(make_cells(["noprop-fm"], epochs=1, diagnostics=True), tmp_path)
    assert set(numbers(figures, "blocks")["quantity"]) == {"own_accuracy", "image_accuracy", "denoising_error"}


def test_rows_of_one_training_that_differ_in_steps_are_a_line(tmp_path: Path) -> None:
    def rows(label: str, steps: int, solver: str = "heun", trained_with: str | None = "noprop-ct") -> list[CellResult]:
        config = make_config(options={"steps": steps, "solver": solver})
        return make_cells([label], seeds=(0, 1), epochs=2, config=config, trained_with=trained_with)

    few, many = rows("noprop-ct[steps=2]", 2), rows("noprop-ct[samples=1,steps=50]", 50)
    cells = [
        *few,
        *rows("noprop-ct", 10),
        *many,
        *rows("noprop-ct[solver=euler]", 10, "euler"),  # alone with its solver
        *rows("noprop-ct[eta=2]", 30, trained_with=None),
    ]
    drawn = numbers(figures_of(cells, tmp_path), "inference-steps")
    assert drawn["steps"].tolist() == [2, 10, 50]
    assert set(drawn["line"]) == {"noprop-ct"}
    for row, seeds in ((0, few), (2, many)):
        accuracies = [100 * (cell.test_accuracy or 0) for cell in seeds]
        expected = [fmean(accuracies), min(accuracies), max(accuracies)]
        assert drawn.iloc[row, 3:].tolist() == pytest.approx(expected)
