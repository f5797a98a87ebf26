"""Which cells are compared with which, and which are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.overview.labels import relabelled
from reports.overview.overview import Overview
from reports.overview.pooling import Pool, pool
from reports.overview.sources import Source
from results.race import DatasetRace, MethodRace, RaceRecord
from results.schema import CellResult
from tests.factories import (
    RUN_ID,
    make_cell,
    make_cells,
    make_config,
    make_data,
    make_environment,
    make_run,
    make_tuning,
)

OPTIONS = {"T": 10, "features": "flatten"}


def source(name: str, *cells: CellResult, race: RaceRecord | None = None, created: str = "2026-03-01") -> Source:
    record = make_run(cells, created_at=f"{created}T10:00:00Z")
    return Source(name, Path(name), record, list(cells), 0, race)


def cell(method: str = "backprop", seed: int = 0, *, started: str = "2026-03-01", **overrides: Any) -> CellResult:
    config = make_config(**({"options": OPTIONS} | overrides.pop("config", {})))
    return make_cell(method, seed=seed, config=config, started_at=f"{started}T10:00:00Z", **overrides)


def race(*methods: str, cpu: str = "Example CPU", ratio: float = 2.0, started: str = "2026-03-02") -> RaceRecord:
    timed = [
        MethodRace(method=m, steps=1, reference_steps=1, seconds=[ratio] * 20, reference_seconds=[1.0] * 20)
        for m in methods
    ]
    sitting = DatasetRace(
        dataset="mnist",
        reference="backprop",
        seed=0,
        threads=2,
        device="cpu",
        batch_size=128,
        started_at=f"{started}T10:00:00Z",
        environment=make_environment(cpu=cpu),
        methods=timed,
    )
    return RaceRecord(run_id=RUN_ID, datasets=[sitting])


def beside(record: RaceRecord) -> RaceRecord:
    sitting = record.datasets[0]
    crowded = [each.model_copy(update={"beside_others": True}) for each in sitting.methods]
    return record.model_copy(update={"datasets": [sitting.model_copy(update={"methods": crowded})]})


def only(*sources: Source) -> Pool:
    (found,) = pool(sources)
    return found


def test_a_race_goes_by_the_labels_that_its_methods_have_now_on_each_data_set() -> None:
    old, new = ({"options": {"T": 10, "head_scale": scale}} for scale in (1.0, 10.0))
    on_both = [cell(config=old), cell("noprop"), cell(config=new, dataset="digits"), cell("noprop", dataset="digits")]
    pools = {each.conditions.dataset: each for each in pool([source("both", *on_both, race=race("noprop"))])}
    assert pools["mnist"].data.reference == "backprop[head_scale=1.0]"
    (timed,) = pools["mnist"].races
    assert (timed.race.reference, [each.method for each in timed.race.methods]) == (
        "backprop[head_scale=1.0]",
        ["noprop"],
    )
    assert pools["digits"].data.reference == "backprop"


def test_an_option_that_is_given_its_default_is_not_another_method() -> None:
    ten, two = ({"options": {"T": depth}} for depth in (10, 2))
    run = source("run", cell(config=ten), cell("noprop", config=ten))
    depths = source("depths", cell("noprop[T=10]", config=ten, seed=1), cell("noprop[T=2]", config=two))
    found = only(run, depths)
    assert found.data.drawn == ["backprop", "noprop", "noprop[T=2]"]
    assert found.runs["noprop"] == ["run", "depths"]
    alone = only(depths)
    assert alone.data.drawn == ["noprop[T=10]", "noprop[T=2]"]
    mean = {"options": {"T": 10, "sampler": "mean"}}
    shared = cell("noprop[T=10,sampler=mean]", config=mean, trained_with="noprop[T=10]")
    (relabelled_run,) = relabelled([source("shared", cell("noprop", config=ten, seed=1), depths.cells[0], shared)])
    assert relabelled_run.cells[-1].trained_with == "noprop"


def test_methods_of_two_runs_under_the_same_conditions_stand_in_one_table() -> None:
    found = only(source("one", cell(), cell("noprop")), source("two", cell("local-loss")))
    assert found.data.drawn == ["backprop", "noprop", "local-loss"]
    assert found.label == "mnist, 5 epochs"
    assert {row.method for row in found.found.rows if row.accuracy} == {"noprop", "local-loss"}
    assert found.runs["local-loss"] == ["two"]


def test_other_conditions_make_another_comparison_and_where_and_how_a_cell_ran_do_not() -> None:
    other: list[dict[str, Any]] = [{"epochs": 6}, {"amp": True}, {"lr": 0.01}, {"train_size": 100}, {"clip": 1.0}]
    sources = [source("base", cell()), *(source(f"other-{n}", cell(config=each)) for n, each in enumerate(other))]
    sources.append(source("split", cell(data=make_data(fingerprint="0" * 64))))
    labels = [each.label for each in pool(sources)]
    assert len(set(labels)) == len(labels) == len(other) + 2
    same = [{"threads": 1}, {"device": "cuda:0"}, {"eval_every": 5}, {"preset": "quick"}, {"parallel": "blocks"}]
    assert len(pool([source("a", cell()), *(source("b", cell(seed=1, config=each)) for each in same)])) == 1


def test_of_the_same_method_and_seed_the_newest_counts_and_that_is_counted() -> None:
    old = cell(started="2026-01-01", test_accuracy=0.5)
    new = cell(started="2026-02-01", test_accuracy=0.9)
    for sources in ([source("old", old), source("new", new)], [source("new", new), source("old", old)]):
        found = only(*sources)
        assert [each.test_accuracy for each in found.data.finished["backprop"]] == [0.9]
        assert found.replaced == 1
        assert found.runs == {"backprop": ["new"]}


def test_older_rows_with_other_options_are_a_row_of_their_own() -> None:
    old = cell("noprop", started="2026-01-01", config={"options": {"T": 10, "features": "mean"}})
    new = cell("noprop", started="2026-02-01")
    found = only(source("old", old), source("new", new, cell()))
    assert set(found.data.drawn) == {"noprop[features=mean]", "noprop", "backprop"}
    assert found.replaced == 0


def test_rows_from_before_a_default_changed_are_named_by_it_and_not_those_of_today() -> None:
    """Whichever of them the newest run has."""
    old = cell("noprop", started="2026-02-01", config={"options": {"T": 10, "features": "mean"}})
    new = cell("noprop", started="2026-01-01")
    assert set(only(source("old", old), source("new", new)).data.drawn) == {"noprop[features=mean]", "noprop"}


def test_an_option_that_acts_on_nothing_on_small_images_does_not_set_rows_apart() -> None:
    """8x8 images end as one position, so their mean is that position."""
    data = make_data(shape=(1, 8, 8))
    old = cell("noprop", 0, started="2026-01-01", data=data, config={"options": {"T": 10, "features": "mean"}})
    new = cell("noprop", 1, started="2026-02-01", data=data)
    assert only(source("old", old), source("new", new)).data.drawn == ["noprop"]


def test_options_are_named_wherever_they_differ_from_those_of_the_newest_plain_row() -> None:
    variant = cell("noprop[T=2]", started="2026-01-01", config={"options": {"T": 2, "features": "mean"}, "epochs": 9})
    found = {each.label: each.data.drawn for each in pool([source("old", variant), source("new", cell("noprop"))])}
    assert found == {"mnist, 9 epochs": ["noprop[features=mean,T=2]"], "mnist, 5 epochs": ["noprop"]}


def test_an_option_that_older_rows_lack_does_not_set_them_apart() -> None:
    old = cell("noprop", started="2026-01-01")
    new = cell("noprop", 1, started="2026-02-01", config={"options": OPTIONS | {"new": 1}})
    assert only(source("old", old), source("new", new)).data.drawn == ["noprop"]


def test_what_a_search_found_is_compared_with_what_a_search_of_the_same_budget_found() -> None:
    tuned = [
        cell("noprop[tuned]", config={"tuning": make_tuning(), "lr": 0.02}),
        cell("backprop[tuned]", config={"tuning": make_tuning(trial=3), "lr": 0.003}),
    ]
    found = {each.label: each for each in pool([source("run", *tuned, cell())])}
    assert found["mnist, 5 epochs, tuned"].data.reference == "backprop[tuned]"
    assert found["mnist, 5 epochs, tuned"].is_comparison
    larger = cell("local-loss[tuned]", config={"tuning": make_tuning(trials=99)})
    assert len(pool([source("run", *tuned), source("other", larger)])) == 2


def test_without_backprop_the_plain_cnn_is_the_reference_and_without_either_there_is_none() -> None:
    assert only(source("run", cell("backprop-plain"), cell("noprop"))).data.reference == "backprop-plain"
    alone = only(source("run", cell("noprop")))
    assert alone.data.reference is None
    assert not alone.is_comparison


def test_times_come_from_races_alone_machine_by_machine_the_newest_of_a_method() -> None:
    cells = [cell(), cell("noprop"), cell("local-loss")]
    untimed = only(source("run", *cells))
    assert all(row.time is None for row in untimed.found.rows)
    found = only(
        source("run", *cells, race=race("noprop")),
        source("again", *cells, race=race("noprop", "local-loss", ratio=3.0, started="2026-03-03")),
        source("elsewhere", *cells, race=race("noprop", cpu="Other CPU", ratio=9.0)),
    )
    assert {each.machine: each.runs for each in found.races} == {
        "Example CPU (2 threads of 8 cores)": ("run", "again"),
        "Other CPU (2 threads of 8 cores)": ("elsewhere",),
    }
    time = found.found.of("noprop").time
    assert time is not None
    assert round(time.ratio, 6) == 3.0


def test_of_machines_that_timed_as_many_methods_the_newest_race_is_told() -> None:
    cells = [cell(), cell("noprop")]
    old, new = (race("noprop", cpu=cpu, started=day) for cpu, day in (("Old CPU", "2026-03-02"), ("New", "2026-03-03")))
    for order in ((old, new), (new, old)):
        found = only(*(source(f"run {k}", *cells, race=each) for k, each in enumerate(order)))
        assert found.data.race is not None
        assert found.data.race.environment.cpu == "New"
    on_their_threads = [cell(config={"threads": 1}), cell("noprop", config={"threads": 1})]
    alone = race("noprop", cpu="One thread", started="2026-03-01")
    alone = alone.model_copy(update={"datasets": [alone.datasets[0].model_copy(update={"threads": 1})]})
    found = only(source("new", *on_their_threads, race=new), source("alone", *on_their_threads, race=alone))
    assert found.data.race is not None
    assert found.data.race.environment.cpu == "One thread"


def test_a_row_of_one_process_stands_for_a_method_before_newer_ones_of_several() -> None:
    ranks = cell("noprop", config={"parallel": "blocks"}, started="2026-03-05", rss_rise_bytes=1)
    found = only(source("run", cell(), cell("noprop", rss_rise_bytes=2)), source("ranks", ranks))
    assert found.runs["noprop"] == ["run"]
    assert only(source("ranks", cell(), ranks)).runs["noprop"] == ["ranks"]


def test_a_race_holds_at_every_number_of_epochs_and_not_for_another_step() -> None:
    short = source("short", cell(), cell("noprop"), race=race("noprop"))
    deeper = {"epochs": 50, "options": {"T": 20}}
    for change, is_raced in (({"epochs": 50}, True), ({"amp": True}, False), (deeper, False)):
        long = source("long", *(cell(m, config=change) for m in ("backprop", "noprop")))
        found = {each.all_runs[0]: each for each in pool([short, long])}
        row = next(row for row in found["long"].found.rows if row.method.startswith("noprop"))
        assert (row.time is not None) == is_raced, change


def test_memory_is_that_of_activations_even_where_a_card_was_used() -> None:
    used = {"gpu_peak_allocated_bytes": 10**9}
    found = only(source("run", cell(activation_bytes=1000, **used), cell("noprop", activation_bytes=250, **used)))
    memory = found.found.of("noprop").memory
    assert memory is not None
    assert round(memory.ratio, 6) == 0.25


def test_memory_of_layers_that_hold_something_else_is_left_out_and_counted() -> None:
    compiled = {"environment": make_environment(layers="compiled"), "started": "2026-03-02"}
    (found,) = pool(
        [
            source(
                "old",
                cell("noprop", activation_bytes=50, activation_bytes_by_T={"10": 50}),
                cell("backprop-plain", activation_bytes=50),
            ),
            source(
                "new",
                cell(activation_bytes=100, **compiled),
                cell("backprop-plain", activation_bytes=10, **compiled),
                created="2026-03-02",
            ),
        ]
    )
    assert found.without_memory == 1
    assert found.found.of("noprop").memory is None
    assert found.data.finished["noprop"][0].activation_bytes_by_T == {}
    memory = found.found.of("backprop-plain").memory
    assert memory is not None
    assert memory.ratio == pytest.approx(0.1)


def test_the_largest_comparison_of_a_data_set_with_noprop_is_the_main_one() -> None:
    rivals = [cell(m, config={"epochs": 9}) for m in ("backprop", "local-loss", "dfa")]
    page = Overview([source("run", cell(), cell("noprop")), source("rivals", *rivals)], [], Path())
    assert [each.label for each in page.main] == ["mnist, 5 epochs"]


@pytest.mark.parametrize(
    ("short", "long", "main"), [(5, 1, [3]), (5, 2, [3]), (5, 3, [9, 3]), (2, 2, [9]), (2, 1, [9])], ids=str
)
def test_a_longer_training_stands_beside_one_with_more_seeds_if_it_has_several(
    short: int, long: int, main: list[int]
) -> None:
    runs = [
        source(name, *(cell(m, seed, config={"epochs": epochs}) for m in ("backprop", "noprop") for seed in range(n)))
        for name, epochs, n in (("short", 3, short), ("long", 9, long))
    ]
    page = Overview(runs, [], Path())
    assert [each.label for each in page.main] == [f"mnist, {epochs} epochs" for epochs in main]


def test_a_longer_training_without_backprop_does_not_hide_the_one_that_has_it() -> None:
    cells = [*make_cells(["backprop", "noprop"], epochs=2), *make_cells(["backprop-plain", "noprop"], epochs=9)]
    page = Overview([source("run", *cells)], [], Path())
    assert [each.label for each in page.main] == ["mnist, 9 epochs", "mnist, 2 epochs"]


def test_races_beside_other_programs_stand_apart_from_quiet_ones() -> None:
    cells = [cell(), cell("noprop"), cell("local-loss")]
    quiet = source("quiet", *cells, race=race("noprop", ratio=2.0))
    crowded = source("crowded", *cells, race=beside(race("noprop", "local-loss", ratio=3.0, started="2026-03-03")))
    machines = {each.machine: len(each.race.methods) for each in only(quiet, crowded).races}
    here = "Example CPU (2 threads of 8 cores)"
    assert machines == {here: 1, f"{here}, beside other programs": 2}
