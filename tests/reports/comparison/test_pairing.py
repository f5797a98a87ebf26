"""Which cells of two runs are compared, and what their differences forbid."""

from __future__ import annotations

from typing import Any

import pytest

from reports.comparison.pairing import Group, Pairing, pair_runs
from reports.view import RunView, arrange
from results.schema import CellResult
from tests.factories import make_cell, make_cells, make_config, make_data, make_environment, make_failed_cell, make_run


def view_of(cells: list[CellResult], **record: Any) -> RunView:
    return arrange(make_run(cells, **record), [cell for cell in cells if cell.error != "not run"])


def pairing_of(old: list[CellResult], new: list[CellResult]) -> Pairing:
    return pair_runs(view_of(old), view_of(new))


def configured(seed: int = 0, **config: Any) -> CellResult:
    return make_cell("noprop", seed=seed, config=make_config(**config))


def test_partners_have_the_same_data_set_method_and_seed_in_order_of_seed() -> None:
    cells = make_cells(("backprop", "noprop"), ("mnist", "digits"), seeds=(3, 0, 1))
    found = pairing_of(cells, cells[::-1])
    assert {(pair.dataset, pair.method) for pair in found.pairs} == {
        (dataset, method) for dataset in ("mnist", "digits") for method in ("backprop", "noprop")
    }
    for pair in found.pairs:
        assert [cell.seed for cell in pair.old] == [0, 1, 3]
        assert [cell.key for cell in pair.old] == [cell.key for cell in pair.new]
        assert {(cell.dataset, cell.method) for cell in pair.old} == {(pair.dataset, pair.method)}
        assert pair.obstacles == {}
    assert found == Pairing(found.pairs, [], [], [], [], [], changes=[], is_reversed=False)


def test_what_only_the_old_run_finished_is_missing_with_the_reason() -> None:
    old = [*make_cells(("backprop", "noprop")), make_cell("forward")]
    new = [
        make_cell(),
        make_failed_cell(seed=1, error="loss is not finite"),
        make_failed_cell(seed=2, error="not run"),
        make_failed_cell("forward", error="killed"),
    ]
    assert pairing_of(old, new).missing == [
        Group("mnist", "backprop", (1,), "error: loss is not finite"),
        Group("mnist", "backprop", (2,), "not run"),
        Group("mnist", "noprop", (0, 1, 2), "not part of the run"),
        Group("mnist", "forward", (0,), "error: killed"),
    ]


def test_what_the_old_run_did_not_finish_is_told_apart_from_what_it_never_had() -> None:
    old = [make_cell(), make_failed_cell(seed=1), make_failed_cell(seed=2)]
    new = [make_cell(), make_cell(seed=1), make_failed_cell(seed=2), make_cell(seed=3), make_failed_cell("noprop")]
    found = pairing_of(old, new)
    assert found.unfinished == [
        Group("mnist", "backprop", (1,), "error: loss is not finite; finished in B"),
        Group("mnist", "backprop", (2,), "error: loss is not finite"),
    ]
    assert found.added == [
        Group("mnist", "backprop", (3,), "finished"),
        Group("mnist", "noprop", (0,), "error: loss is not finite"),
    ]
    assert found.missing == []


CONFIGURATIONS = [
    ({"epochs": 6}, "epochs: 5 against 6"),
    ({"batch_size": 64}, "batch_size: 128 against 64"),
    ({"lr": 0.01}, "lr: 0.001 against 0.01"),
    ({"weight_decay": 0.0}, "weight_decay: 0.001 against 0.0"),
    ({"optimizer": "sgd"}, "optimizer: adamw against sgd"),
    ({"train_size": 1000}, "train_size: none against 1000"),
    ({"split_seed": 1}, "split_seed: 0 against 1"),
    ({"options": {"T": 20}}, "option T: 10 against 20"),
]


@pytest.mark.parametrize(("changed", "reason"), CONFIGURATIONS, ids=[next(iter(each)) for each, _ in CONFIGURATIONS])
def test_another_configuration_is_refused_and_named(changed: dict[str, Any], reason: str) -> None:
    found = pairing_of([configured(), make_cell()], [configured(**changed), make_cell()])
    assert found.refused == [Group("mnist", "noprop", (0,), reason)]
    assert [pair.method for pair in found.pairs] == ["backprop"]
    assert found.missing == []


def test_one_seed_of_another_configuration_is_enough_to_refuse_and_all_differences_are_named() -> None:
    old, new = [configured(), configured(1)], [configured(), configured(1, lr=0.1, epochs=2)]
    assert pairing_of(old, new).refused == [
        Group("mnist", "noprop", (0, 1), "epochs: 5 against 2; lr: 0.001 against 0.1")
    ]


def test_other_data_are_refused() -> None:
    other = make_cell(data=make_data(fingerprint="00c0ffee" * 8))
    (refused,) = pairing_of([make_cell()], [other]).refused
    assert refused.reason == "data (fingerprint): 3f9a3f9a3f9a against 00c0ffee00c0"
    (refused,) = pairing_of([make_cell()], [make_cell(data=None)]).refused
    assert refused.reason == "data (fingerprint): 3f9a3f9a3f9a against none"


def test_an_option_that_one_version_does_not_know_and_the_name_of_the_preset_are_said_only() -> None:
    old, new = configured(options={"T": 10, "old": 1}), configured(options={"T": 10, "a": 1, "b": 2}, preset="mine")
    found = pairing_of([old], [new])
    assert found.refused == []
    assert found.changes == [
        "preset: standard against mine",
        "option a of noprop: known to B alone",
        "option b of noprop: known to B alone",
        "option old of noprop: known to A alone",
    ]


COST = {"train_seconds", "rss_rise_bytes", "gpu_peak_allocated_bytes"}
OBSTACLES = [
    ({"environment": make_environment(cpu="Other CPU")}, COST, "cpu: Example CPU at 2.4 GHz against Other CPU"),
    ({"environment": make_environment(cores=4)}, COST, "cores: 8 against 4"),
    ({"environment": make_environment(gpu="Card")}, COST, "gpu: none against Card"),
    ({"config": make_config(threads=4)}, COST, "threads: 2 against 4"),
    ({"config": make_config(device="cuda:0")}, COST | {"activation_bytes"}, "device: cpu against cuda:0"),
    (
        {"rss_source": "high-water mark of the process's life"},
        {"rss_rise_bytes"},
        "measured by: high-water mark, reset against high-water mark of the process's life",
    ),
]


@pytest.mark.parametrize(("changed", "fields", "reason"), OBSTACLES, ids=[reason[:12] for *_, reason in OBSTACLES])
def test_what_hangs_on_the_machine_is_not_judged_where_it_is_another(
    changed: dict[str, Any], fields: set[str], reason: str
) -> None:
    found = pairing_of([make_cell()], [make_cell(**changed)])
    (pair,) = found.pairs
    assert pair.obstacles == dict.fromkeys(fields, reason)
    assert found.refused == []
    assert found.changes == []


def test_activations_of_layers_that_hold_something_else_are_not_judged() -> None:
    found = pairing_of([make_cell()], [make_cell(environment=make_environment(layers="compiled"))])
    (pair,) = found.pairs
    assert pair.obstacles == dict.fromkeys(("activation_bytes", "rss_rise_bytes"), "layers: none against compiled")
    assert found.changes == ["layers: none against compiled"]


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1), (2, 2)])
def test_times_of_cells_side_by_side_are_not_judged(old: int, new: int) -> None:
    found = pair_runs(view_of([make_cell()], jobs=old), view_of([make_cell()], jobs=new))
    (pair,) = found.pairs
    assert pair.obstacles == {"train_seconds": f"cells side by side (--jobs {old} and {new})"}


@pytest.mark.parametrize(("old", "new"), [("local", "slurm"), ("ray", "local"), ("ray", "ray")])
def test_times_of_cells_on_machines_that_a_launcher_chose_are_not_judged(old: str, new: str) -> None:
    found = pairing_of([make_cell(launcher=old)], [make_cell(launcher=new)])
    (pair,) = found.pairs
    reason = f"machines that a launcher chose (--launcher {old} and {new})"
    assert pair.obstacles == {"train_seconds": reason}


def test_times_of_a_method_that_no_launcher_placed_are_judged() -> None:
    old, new = make_cell("backprop"), make_cell("noprop", launcher="slurm")
    found = pairing_of([old, new], [old, new])
    assert [(pair.method, list(pair.obstacles)) for pair in found.pairs] == [
        ("backprop", []),
        ("noprop", ["train_seconds"]),
    ]


def test_other_versions_are_said_and_judged() -> None:
    changed = make_environment(
        commit="fedcba9876543210-dirty", torch="2.10.0", memory_bytes=32 * 2**30 - 4096, python="3.12.5"
    )
    found = pairing_of([make_cell(), make_cell(seed=1)], [make_cell(seed=seed, environment=changed) for seed in (0, 1)])
    (pair,) = found.pairs
    assert pair.obstacles == {}
    assert found.changes == [
        "python: 3.12.4 against 3.12.5",
        "torch: 2.9.0 against 2.10.0",
        "commit: 0123456789ab against fedcba987654-dirty",
    ]


def test_cells_that_finished_only_when_tried_again_are_named() -> None:
    assert pairing_of([make_cell()], [make_cell(attempt=3)]).retried == [
        Group("mnist", "backprop", (0,), "attempt 3"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "is_reversed"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z", False),
        ("2026-03-02T10:00:00+02:00", "2026-03-02T09:00:00Z", False),
        ("2026-03-02T10:00:00Z", "2026-03-01T10:00:00Z", True),
        ("lately", "2026-03-01T10:00:00Z", False),
    ],
)
def test_a_newer_run_given_as_the_old_one_is_noticed(old: str, new: str, is_reversed: bool) -> None:
    views = (view_of([make_cell()], created_at=moment) for moment in (old, new))
    assert pair_runs(*views).is_reversed is is_reversed


def test_data_of_ones_own_are_known_by_their_fingerprint() -> None:
    def run(name: str, fingerprint: str) -> list[CellResult]:
        return [make_cell("noprop", name, seed, data=make_data(fingerprint=fingerprint)) for seed in range(2)]

    found = pairing_of(run("npz:/a/mine.npz", "1" * 64), run("npz:/b/moved.npz", "1" * 64))
    assert [(pair.dataset, len(pair.new)) for pair in found.pairs] == [("npz:/a/mine.npz", 2)]
    assert (found.missing, found.added) == ([], [])
    assert found.changes == ["data set: npz:/b/moved.npz in B is npz:/a/mine.npz in A, by its fingerprint"]
    other = pairing_of(run("npz:/a/mine.npz", "1" * 64), run("npz:/b/mine.npz", "2" * 64))
    assert other.pairs == []
    assert [group.dataset for group in other.missing] == ["npz:/a/mine.npz"]
