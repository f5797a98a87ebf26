"""The tables of a data set: what is paired, what is left out, what is said about single seeds."""

from __future__ import annotations

import random

from reports.sections import accuracy, classes, depth, memory, ratios, spread, work
from reports.statistics.measures import TEST_ACCURACY, TRAIN_SECONDS
from reports.tables import compared, summary
from reports.view import DatasetView, arrange
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_cells, make_data, make_failed_cell, make_run

RUN = arrange(make_run([make_cell()]), [])
"""Which these sections do not look at."""


def view_of(cells: list[CellResult], planned: list[CellResult] | None = None) -> DatasetView:
    return arrange(make_run(planned or cells), cells).datasets[0]


def accuracy_and_time(data: DatasetView) -> str:
    return summary(data, accuracy.measures_of(data)).markdown(data.groups)


def memory_and_size(data: DatasetView) -> str:
    return summary(data, memory.MEASURES).markdown()


def ratio_table(data: DatasetView) -> str | None:
    table = compared(data, ratios.RATIOS)
    return table and table.markdown()


def tables_in(text: str | None) -> list[str]:
    """The tables of a section, if it has any."""
    return [block for block in (text or "").split("\n\n") if block.startswith("|")]


def row(table: str, method: str) -> list[str]:
    """The entries of the method's row, without its name."""
    line = next(line for line in table.splitlines() if line.startswith(f"| `{method}` "))
    return [entry.strip() for entry in line.strip("|").split("|")][1:]


def column(table: str, method: str, header: str) -> str:
    headers = [entry.strip() for entry in table.splitlines()[0].strip("|").split("|")][1:]
    return row(table, method)[headers.index(header)]


def test_summary_gives_mean_and_interval_over_seeds() -> None:
    cells = [make_cell(seed=seed, test_accuracy=value) for seed, value in enumerate([0.96, 0.98, 0.97])]
    # s = 1 point, t(2) = 4.3027: 4.3027 / sqrt(3) = 2.48
    assert column(accuracy_and_time(view_of(cells)), "backprop", "test accuracy, %") == "97.00 ± 2.48"


def test_the_epoch_of_best_validation_stands_beside_the_last_one() -> None:
    cell = make_cell(test_accuracy=0.5)
    best, last = (cell.epochs[0].model_copy(update=each) for each in ({"val_accuracy": 1.0, "test_accuracy": 0.8}, {}))
    table = accuracy_and_time(view_of([cell.model_copy(update={"epochs": [best, last]})]))
    assert row(table, "backprop")[1:3] == ["50.00 (one seed)", "80.00"]
    assert "best validation" not in accuracy_and_time(view_of([cell.model_copy(update={"epochs": [last]})]))


def test_balanced_accuracy_is_shown_where_classes_are_unequal() -> None:
    by_class = {"test_balanced_accuracy": 0.7, "test_class_accuracies": [0.9, 0.5]}
    for share, shown in ((0.9, True), (0.51, False)):
        names = ("cat", "dog")
        data = view_of([make_cell(data=make_data(num_classes=2, majority_share=share, class_names=names), **by_class)])
        text = accuracy.section(RUN, data)
        assert (" balanced accuracy, % |" in text) == shown
        assert ("naming the most frequent one has 90.0% test accuracy and 50.0% balanced" in text) == shown
        (table,) = tables_in(classes.section(RUN, data))
        assert (column(table, "backprop", "cat"), column(table, "backprop", "dog")) == ("90.0", "50.0")


def test_there_is_no_table_of_many_classes_or_of_rows_that_record_none() -> None:
    assert classes.section(RUN, view_of([make_cell()])) is None
    assert classes.section(RUN, view_of([make_cell(test_class_accuracies=[0.5] * 11)])) is None


def test_one_seed_is_named_and_has_no_interval() -> None:
    data = view_of(make_cells(seeds=[0]))
    table = accuracy_and_time(data)
    assert "(one seed)" in column(table, "noprop", "test accuracy, %")
    assert all("±" not in str(text) for text in (table, memory_and_size(data), ratio_table(data)))


def test_methods_stand_below_how_credit_reaches_their_weights() -> None:
    cells = [
        make_cell("noprop", credit="inside"),
        make_cell(credit="whole"),
        make_cell("noprop[T=20]", credit="inside"),
    ]
    _, _, *lines = accuracy_and_time(view_of(cells)).splitlines()
    first = [line.strip("|").split("|")[0].strip() for line in lines]
    assert first == ["*inside*", "`noprop`", "`noprop[T=20]`", "*whole*", "`backprop`"]
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_ratios_pair_by_seed_in_shuffled_order_and_with_a_missing_seed() -> None:
    base = {0: 10.0, 1: 20.0, 2: 40.0}
    cells = [make_cell("backprop", seed=seed, train_seconds=seconds) for seed, seconds in base.items()]
    cells += [make_cell("noprop", seed=seed, train_seconds=2 * base[seed]) for seed in (2, 0)]
    cells += [make_cell("noprop", seed=9, train_seconds=1e6)]
    random.Random(1).shuffle(cells)
    table = ratio_table(view_of(cells))
    assert table is not None
    # Paired, every ratio is exactly 2; a ratio of the means would be 14,000 and more.
    assert column(table, "noprop", "training time, ratio") == "2.00 (2.00 to 2.00)"
    assert column(table, "noprop", "seeds") == "2"


def test_accuracy_is_a_difference_in_points() -> None:
    cells = [make_cell("backprop", seed=s, test_accuracy=a) for s, a in enumerate([0.90, 0.95])]
    cells += [make_cell("noprop", seed=s, test_accuracy=a) for s, a in enumerate([0.89, 0.94])]
    table = ratio_table(view_of(cells))
    assert table is not None
    assert column(table, "noprop", "test accuracy, points") == "−1.00 ± 0.00"


def test_the_plain_backprop_is_the_reference_even_where_a_variant_comes_first() -> None:
    cells = make_cells(["backprop[checkpoint=true]", "noprop", "backprop"])
    assert view_of(cells).reference == "backprop"
    assert view_of([cell for cell in cells if cell.method != "backprop"]).reference == "backprop[checkpoint=true]"
    without = view_of([cell for cell in cells if cell.method_name != "backprop"])
    assert without.reference is None
    assert ratio_table(without) is None


def test_gpu_columns_are_there_only_with_gpu_figures() -> None:
    assert len(tables_in(memory.section(RUN, view_of(make_cells())))) == 1
    data = view_of(make_cells(gpu_peak_allocated_bytes=300 * MIB, gpu_process_bytes=900 * MIB))
    _, table = tables_in(memory.section(RUN, data))
    assert column(table, "noprop", "peak GPU memory, MiB") == "300 ± 0"
    assert "reserved" not in table
    assert "peak GPU memory, ratio" in str(ratio_table(data))


def test_a_method_keeps_its_row_when_none_of_its_cells_finished() -> None:
    planned = make_cells(seeds=range(2))
    cells = [cell if cell.method == "backprop" else make_failed_cell("noprop", seed=cell.seed) for cell in planned]
    assert set(row(accuracy_and_time(view_of(cells, planned)), "noprop")) == {"0 of 2", "–"}


def test_activation_bytes_are_exact_and_show_a_range_where_seeds_disagree() -> None:
    cells = [make_cell(seed=seed, activation_bytes=held * MIB) for seed, held in enumerate([8, 8, 8])]
    header = "activation memory, MiB"
    assert column(memory_and_size(view_of(cells)), "backprop", header) == "8.00"
    cells[1] = make_cell(seed=1, activation_bytes=9 * MIB)
    assert column(memory_and_size(view_of(cells)), "backprop", header) == "8.00 to 9.00"


def test_activations_in_turn_stand_beside_those_of_several_parts() -> None:
    several = make_cell("noprop", activation_bytes=16 * MIB, activation_bytes_in_turn=8 * MIB, execution="concurrent")
    data = view_of([make_cell(activation_bytes=80 * MIB), several])
    assert memory.in_turn(data) == (
        "`noprop` trained several parts at a time (`concurrent`), and its activation memory is that of these, "
        "16.0 MiB; in turn (`execution=in_turn`) it is 8.00 MiB, 0.100 times what `backprop` holds."
    )
    assert memory.in_turn(data) in memory.section(RUN, data)
    assert memory.in_turn(view_of(make_cells())) == ""


def test_columns_that_no_cell_has_are_left_out() -> None:
    old = make_cells(images_per_second=None, optimizer_bytes=None, train_flops_per_image=None)
    data = view_of(old)
    assert "images/s" not in accuracy_and_time(data)
    assert "optimiser" not in memory_and_size(data)
    assert "parameters, MiB" in memory_and_size(data)
    assert "compute" not in str(ratio_table(data))
    (table,) = tables_in(work.section(RUN, data))
    assert "training" not in table
    none = view_of([cell.model_copy(update={"predict_flops_per_image": None}) for cell in old])
    assert work.section(RUN, none) is None


def test_work_is_in_millions_for_each_image() -> None:
    data = view_of([make_cell(train_flops_per_image=58.06e6, predict_flops_per_image=19.479e6)])
    (table,) = tables_in(work.section(RUN, data))
    assert row(table, "backprop") == ["1", "58.06", "19.48"]


def test_training_flops_are_compared_with_the_reference() -> None:
    cells = [make_cell(train_flops_per_image=50e6), make_cell("noprop", train_flops_per_image=75e6)]
    assert column(str(ratio_table(view_of(cells))), "noprop", "training compute, ratio") == "1.50"


def test_spread_is_the_sample_standard_deviation() -> None:
    accuracies = [0.96, 0.98, 0.97]
    cells = [make_cell(seed=k, test_accuracy=a, train_seconds=10.0 + 2 * k) for k, a in enumerate(accuracies)]
    cells.append(make_cell("noprop"))
    table = spread.spread_table(view_of(cells))
    assert table is not None
    assert column(table, "backprop", "test accuracy, points") == "1.00"
    assert column(table, "backprop", "training time, s") == "2.0"
    assert "noprop" not in table
    assert "GPU" not in table
    assert spread.spread_table(view_of(make_cells(seeds=[0]))) is None


def test_depth_table_is_in_numeric_order_with_the_growth_last() -> None:
    cells = [
        make_cell(activation_bytes_by_T={"10": 50 * MIB, "2": 10 * MIB}),
        make_cell("noprop", activation_bytes_by_T={"2": 4 * MIB, "20": 4 * MIB}),
    ]
    (table,) = tables_in(depth.section(RUN, view_of(cells)))
    headers = [entry.strip() for entry in table.splitlines()[0].strip("|").split("|")]
    assert headers[1:4] == ["T = 2", "T = 10", "T = 20"]
    assert row(table, "backprop") == ["10.00", "50.00", "–", "5.00×"]
    assert row(table, "noprop") == ["4.00", "–", "4.00", "1.00×"]
    assert depth.section(RUN, view_of(make_cells(activation_bytes_by_T={}))) is None


def test_rows_are_sorted_by_the_first_measure_within_groups_too() -> None:
    found = {"backprop": (0.9, 5.0), "noprop": (0.95, 1.0), "dfa": (0.97, 3.0)}
    cells = [make_cell(name, test_accuracy=hits, train_seconds=time) for name, (hits, time) in found.items()]
    data = arrange(make_run([*cells, make_cell("noprop-ct")]), cells).datasets[0]
    assert [row[0] for row in summary(data, (TEST_ACCURACY,)).rows] == ["dfa", "noprop", "backprop", "noprop-ct"]
    by_time = summary(data, (TRAIN_SECONDS, TEST_ACCURACY))
    assert [row[0] for row in by_time.rows] == ["noprop", "dfa", "backprop", "noprop-ct"]
    grouped = by_time.markdown({"these": ["backprop", "noprop"], "those": ["noprop-ct", "dfa"]})
    names = [line.split("|")[1].strip() for line in grouped.splitlines()[2:]]
    assert names == ["*these*", "`noprop`", "`backprop`", "*those*", "`dfa`", "`noprop-ct`"]
