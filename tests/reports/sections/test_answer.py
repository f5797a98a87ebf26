"""The first page: what it says of runs whose truth is known, and of runs that carry no answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.build import build_report, closing_text
from reports.page import report_page
from reports.statistics.questions import findings
from reports.view import RunView, arrange
from results.answers import pack
from results.race import MethodRace
from results.schema import CellResult
from tests.factories import (
    MIB,
    make_cell,
    make_cells,
    make_config,
    make_data,
    make_environment,
    make_failed_cell,
    make_machine,
    make_run,
    make_tuning,
    write_run,
)
from tests.results.test_race import make_race

IMAGES = 2_000
WHOLE = "gradients through the whole network"


def cell(method: str, seed: int, accuracy: float, *, seconds: float = 10.0, mib: int = 50, **more: Any) -> CellResult:
    """A cell whose right answers are drawn, the same images being hard for every method."""
    chance = np.random.default_rng([seed, sum(map(ord, method))])
    hard = np.random.default_rng(0).random(IMAGES)
    right = (0.9 * hard + 0.1 * chance.random(IMAGES)) < np.quantile(hard, accuracy)
    values: dict[str, Any] = {
        "test_accuracy": int(right.sum()) / IMAGES,
        "test_correct": pack(right),
        "data": make_data(n_test=IMAGES),
        "train_seconds": seconds * float(np.exp(0.02 * chance.standard_normal())),
        "activation_bytes": mib * MIB,
        "credit": WHOLE if method.startswith("backprop") else "gradients inside a block",
    }
    return make_cell(method, seed=seed, **(values | more))


def run_of(methods: dict[str, dict[str, Any]], seeds: int = 3, **of_run: Any) -> RunView:
    cells = [cell(method, seed, **given) for seed in range(seeds) for method, given in methods.items()]
    return arrange(make_run(cells, **of_run), cells)


BACKPROP = {"accuracy": 0.95}


def lines(view: RunView) -> list[str]:
    return report_page(view).splitlines()


def row(view: RunView, method: str) -> list[str]:
    line = next(line for line in lines(view) if line.startswith(f"| `{method}` "))
    return [entry.strip() for entry in line.strip("|").split("|")][1:]


def test_what_is_clearly_worse_and_cheaper_is_called_so() -> None:
    view = run_of({"backprop": BACKPROP, "noprop": {"accuracy": 0.85, "seconds": 5.0, "mib": 5}})
    text = report_page(view)
    assert "**For time and memory, not for accuracy**: `noprop` is less accurate than `backprop`" in text
    assert "needs 10% of its activation memory" in text
    _, gap, time, memory = row(view, "noprop")
    assert gap.startswith("−10.")
    assert gap.endswith(" ✗")
    assert time.endswith(" ✓")
    assert memory == "0.100 ✓"
    assert "a new seed and a new test set of this size" in text


def test_a_gain_that_a_backprop_method_has_too_is_not_counted_for_noprop() -> None:
    same = {"accuracy": 0.95, "seconds": 10.0}
    cheap = {"accuracy": 0.95, "seconds": 1.0, "mib": 4}
    text = report_page(run_of({"backprop": BACKPROP, "noprop": {**same, "mib": 5}, "backprop-plain": cheap}))
    assert "NoProp is not needed to save memory: backpropagation can do that as well" in text
    assert "With backpropagation, `backprop-plain` " in text


def test_equal_methods_are_equivalent_only_inside_the_margin() -> None:
    same = {"backprop": BACKPROP, "noprop": BACKPROP}
    wide = run_of(same, margins={"accuracy_points": 5.0, "time": 0.5, "memory": 0.5})
    assert [entry[-1] for entry in row(wide, "noprop")[1:]] == ["=", "=", "="]
    assert "No difference that counts" in report_page(wide)
    narrow = run_of(same, margins={"accuracy_points": 0.01, "time": 0.001, "memory": 0.0})
    assert "?" in row(narrow, "noprop")[1]
    assert "cannot be told from `backprop` in accuracy by so few test images" in report_page(narrow)


def test_one_seed_gives_the_images_part_alone_and_says_so() -> None:
    text = report_page(run_of({"backprop": BACKPROP, "noprop": {"accuracy": 0.8}}, seeds=1))
    assert "a new test set of this size alone, since there is one seed" in text
    assert "**One seed**" in text


def test_rows_without_answers_give_intervals_over_seeds_and_say_so() -> None:
    cells = [
        cell(method, seed, accuracy, test_correct=None)
        for method, accuracy in (("backprop", 0.95), ("noprop", 0.9))
        for seed in range(3)
    ]
    assert "a new seed alone, since which images were right is not recorded" in report_page(
        arrange(make_run(cells), cells)
    )


def test_without_backprop_the_plain_cnn_is_what_rules_are_compared_with() -> None:
    text = report_page(run_of({"backprop-plain": BACKPROP, "dfa": {"accuracy": 0.8}}))
    assert "This run cannot say" not in text
    assert "`dfa` is less accurate than `backprop-plain`" in text


def test_no_p_value_is_on_the_first_page() -> None:
    text = report_page(run_of({"backprop": BACKPROP, "noprop": BACKPROP, "noprop-ct": {"accuracy": 0.4}}))
    assert "p =" not in text
    assert "p <" not in text


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (make_cells(["noprop"]), "**This run cannot say**: `backprop` was not in this run; add it with `--methods`."),
        ([make_failed_cell(), *make_cells(["noprop"])], "**This run cannot say**: no cell of `backprop` has finished"),
        (
            [make_failed_cell("backprop-plain"), *make_cells(["dfa"])],
            "**This run cannot say**: no cell of `backprop-plain` has finished",
        ),
        (
            [make_failed_cell(), *make_cells(["backprop-plain", "dfa"])],
            "**This run cannot say**: no cell of `backprop` has finished",
        ),
        (make_cells(["backprop"]), "**This run cannot say**: no method besides `backprop` has finished"),
        (
            [make_failed_cell("noprop"), *make_cells(["backprop", "dfa"])],
            "**This run cannot say**: no cell of a NoProp method has finished",
        ),
        ([make_failed_cell(), *make_cells(["noprop"])], "**Failed cells**: `backprop` (1 of 1)"),
        ([make_cell("backprop", seed=0), make_cell("noprop", seed=1)], "shares no seed with `backprop`"),
        (make_cells(test_accuracy=1.0), "`noprop`"),
        (make_cells(test_accuracy=0.0), "**At chance** (10.0%): `backprop`, `noprop`"),
    ],
    ids=[
        *("no reference", "no result of it", "no result of the fallback", "no fallback for a failed one"),
        *("no rival", "NoProp failed", "reference failed"),
        *("no shared seed", "all right", "all wrong"),
    ],
)
def test_a_run_that_carries_little_says_what_it_carries(cells: list[CellResult], says: str) -> None:
    assert says in report_page(arrange(make_run(cells), cells))


def test_two_hundred_methods_still_make_a_page() -> None:
    cells = [make_cell(f"m{k}" if k else "backprop", seed=seed, epochs=1) for k in range(200) for seed in range(2)]
    assert len(lines(arrange(make_run(cells), cells))) > 200


@pytest.mark.parametrize("name", ["noprop", "rule"])
def test_fifteen_methods_take_at_most_150_lines_and_the_answer_12(name: str) -> None:
    methods = {"backprop": BACKPROP} | {f"{name}[T={k}]": {"accuracy": 0.9 + 0.003 * k} for k in range(1, 15)}
    page = lines(run_of(methods))
    assert len(page) <= 150
    assert next(place for place, line in enumerate(page) if line.startswith("|")) <= 12


def test_a_method_that_holds_nothing_is_the_leanest_and_its_memory_is_judged() -> None:
    view = run_of({"backprop": BACKPROP, "noprop": {"accuracy": 0.95, "mib": 5}, "rule": {"accuracy": 0.9, "mib": 0}})
    assert row(view, "rule")[3] == "0 ✓"
    assert "leanest is `rule` (no activation memory)" in report_page(view)
    view = run_of({"backprop": {"accuracy": 0.95, "mib": 0}, "noprop": BACKPROP, "rule": {"accuracy": 0.9, "mib": 0}})
    assert (row(view, "noprop")[3], row(view, "rule")[3]) == ("∞ ✗", "1.00 =")
    assert "leanest is `backprop`" in report_page(view)


def test_without_noprop_in_the_plan_other_rules_are_judged_in_the_same_words() -> None:
    methods = {"backprop": BACKPROP, "backprop-plain": BACKPROP, "rule": {"accuracy": 0.55, "seconds": 0.1}}
    text = report_page(run_of(methods))
    assert "**For time, not for accuracy**: `rule` is less accurate than `backprop` (−4" in text
    assert "This run cannot say" not in text
    assert "The table has 1 more method." in text
    methods["backprop-plain"] = {"accuracy": 0.95, "seconds": 0.05}
    said = "**`rule` is not needed to save time: backpropagation can do that as well; worse in accuracy"
    assert said in report_page(run_of(methods))


@pytest.mark.parametrize(
    ("noprop", "backprop"),
    [((0.2, 0.9), (0.5, 0.6)), ((0.17, 0.175), (0.17, 0.175)), ((0.17, 0.19), (0.2, 0.23))],
    ids=["wide interval", "both near chance", "near chance"],
)
def test_an_accuracy_of_which_nothing_is_known_is_no_recommendation(
    noprop: tuple[float, float], backprop: tuple[float, float]
) -> None:
    pairs = {"noprop": (noprop, 5), "backprop": (backprop, 50)}
    cells = [
        make_cell(method, seed=seed, test_accuracy=accuracies[seed], activation_bytes=mib * MIB)
        for method, (accuracies, mib) in pairs.items()
        for seed in (0, 1)
    ]
    assert "- **Too short / too few seeds to say**: `noprop` " in report_page(arrange(make_run(cells), cells))


@pytest.mark.parametrize(
    ("images", "spread", "short_of", "said"),
    [
        (100, 0.0, "so few test images", "more test images for `noprop`: with 100, no number of seeds would do."),
        (100_000, 0.01, "3 seeds", " seeds in all for `noprop`."),
        (100_000, 0.1, "3 seeds", "more than a hundred seeds for `noprop`."),
    ],
)
def test_the_opening_says_what_would_decide(images: int, spread: float, short_of: str, said: str) -> None:
    cells = []
    for seed in range(3):
        for method, shift in (("backprop", 0.0), ("noprop", spread * (seed - 1))):
            known = np.random.default_rng([seed, len(method)]).random(images) < 0.8 + shift
            answers = {"test_accuracy": float(known.mean()), "test_correct": pack(known)}
            cells.append(make_cell(method, seed=seed, data=make_data(n_test=images), **answers))
    text = report_page(arrange(make_run(cells), cells))
    assert f"cannot be told from `backprop` in accuracy by {short_of} (" in text
    assert "- **To decide accuracy**, it takes " in text
    assert said in text


def test_one_seed_s_accuracy_says_that_it_is_over_test_images_alone() -> None:
    text = report_page(run_of({"backprop": BACKPROP, "noprop": {"accuracy": 0.8}}, seeds=1))
    assert "; one seed: over test images alone)" in text
    assert "more than one seed" in report_page(run_of({"backprop": BACKPROP, "noprop": BACKPROP}, seeds=1))


def test_the_page_says_what_the_methods_had_in_common_and_what_was_tuned() -> None:
    same = report_page(run_of({"backprop": BACKPROP, "noprop": BACKPROP}))
    assert "same data, epochs, batches, optimiser and learning rate; nothing was tuned for any of them; what" in same
    assert "[Unmatched](details.md#unmatched)" in same
    rate = {"config": make_config(lr=0.5)}
    other = report_page(run_of({"backprop": BACKPROP, "noprop": {"accuracy": 0.95, **rate}}))
    assert "batches and optimiser, but not the same learning rate; no search tuned any of them;" in other
    tuned = {"config": make_config(tuning=make_tuning())}
    some = report_page(run_of({"backprop": BACKPROP, "noprop[tuned]": {"accuracy": 0.95, **tuned}}))
    assert "a search tuned `noprop[tuned]`, and nothing was tuned for the others;" in some


def test_the_other_form_of_inference_is_judged_too_where_it_was_trained_apart() -> None:
    forms = {"noprop": ("ancestral", 0.85), "noprop[sampler=mean]": ("mean", 0.97)}
    methods: dict[str, dict[str, Any]] = {"backprop": BACKPROP, "noprop[T=1]": {"accuracy": 0.9}}
    for method, (sampler, accuracy) in forms.items():
        methods = {
            method: {"accuracy": accuracy, "config": make_config(options={"T": 10, "sampler": sampler})}
        } | methods
    text = report_page(run_of(dict(sorted(methods.items()))))
    assert "`noprop` is less accurate than `backprop`" in text
    said = "This is inference with `sampler=ancestral`; with other inference, `noprop[sampler=mean]` is probably more"
    assert said in text


def test_a_method_that_is_still_learning_is_named_and_one_that_is_done_is_not() -> None:
    cells = make_cells(["backprop", "noprop"], epochs=10)

    def with_accuracy(cell: CellResult, last: float) -> CellResult:
        epochs = [epoch.model_copy(update={"val_accuracy": 0.5 if epoch.epoch <= 8 else last}) for epoch in cell.epochs]
        return cell.model_copy(update={"epochs": epochs})

    cells = [with_accuracy(each, 0.7 if each.method == "noprop" else 0.501) for each in cells]
    text = report_page(arrange(make_run(cells), cells))
    assert "by validation accuracy: `noprop` (+20.0 points)." in text
    many = make_cells(["backprop", *(f"noprop[T={k}]" for k in range(1, 6))], epochs=10)
    named = [f"`noprop[T={k}]` (+{5 * k}.0 points)" for k in (5, 4, 3)]
    rise = {f"noprop[T={k}]": 0.05 * k for k in range(1, 6)}
    many = [with_accuracy(each, 0.5 + rise.get(each.method, 0.0)) for each in many]
    assert f"by validation accuracy: {', '.join(named)} and 2 more." in report_page(arrange(make_run(many), many))


def test_chance_is_the_majority_class_s_share_not_one_of_k() -> None:
    data = make_data(n_test=IMAGES, num_classes=2, majority_share=0.95)
    cells = [
        cell(method, seed, 0.95, data=data, test_accuracy=0.95, test_correct=None)
        for method in ("backprop", "noprop")
        for seed in range(3)
    ]
    assert "**At chance** (95.0%)" in report_page(arrange(make_run(cells), cells))
    easy = make_data(n_test=IMAGES, num_classes=2, majority_share=0.5)
    cells = [cell(method, seed, 1.0, data=easy) for method in ("backprop", "noprop") for seed in range(3)]
    assert "At chance" not in report_page(arrange(make_run(cells), cells))


def test_a_loss_that_diverged_is_named() -> None:
    failed = make_failed_cell("noprop", seed=0, error="training diverged: the loss is nan")
    cells = [failed, *make_cells(["backprop"])]
    text = report_page(arrange(make_run(cells), cells))
    assert "**Failed cells**: `noprop` (1 of 1); the loss of `noprop` was no longer a number." in text


def test_disturbed_cells_do_not_count_and_are_named() -> None:
    cells = [cell(method, seed, 0.95) for method in ("backprop", "noprop", "a", "b") for seed in range(3)]
    cells[3] = cells[3].model_copy(update={"train_seconds": 90.0, "machine": make_machine(foreign_cores=7.0)})
    view = arrange(make_run(cells), cells)
    assert "without the disturbed cells of `noprop`" in report_page(view)
    assert row(view, "noprop")[2].startswith(("0.9", "1.0"))


def test_where_there_is_a_race_its_ratio_is_the_time_also_for_cells_side_by_side() -> None:
    timed = MethodRace(
        method="noprop",
        steps=1,
        reference_steps=1,
        seconds=[0.3] * 16,
        reference_seconds=([0.1] * 4 + [0.2] * 4) * 2,
        rounds=[2] * 8,
    )
    cells = [cell(method, seed, 0.95) for method in ("backprop", "noprop", "dies") for seed in range(3)]
    record = make_run(cells, jobs=2)
    assert row(arrange(record, cells), "noprop")[2] == "–"
    view = arrange(record, cells, race=make_race(methods=[timed]))
    assert row(view, "noprop")[2] == "2.12 (1.50 to 3.00) ✗"
    assert row(view, "dies")[2] == "–"
    assert "Not timed in the race, since it failed then: `dies`." in report_page(view)
    assert "Other programs" not in report_page(view)
    crowded = timed.model_copy(update={"beside_others": True})
    alone = report_page(arrange(record, cells, race=make_race(methods=[crowded])))
    assert "needed its cores throughout the race" in alone
    methods = [crowded, timed.model_copy(update={"method": "dies", "left_out": 6})]
    one = report_page(arrange(record, cells, race=make_race(methods=methods, failed={})))
    assert "needed its cores while `noprop` ran" in one
    assert "6 pairs of turns beside a neighbour did not count" in one


def test_a_race_that_timed_nothing_leaves_the_cells_times_and_says_so() -> None:
    cells = [cell(method, seed, 0.95) for method in ("backprop", "noprop", "dies") for seed in range(3)]
    page = report_page(arrange(make_run(cells), cells, race=make_race(methods=[], failed={"noprop": "no"})))
    assert "Time is that of training." in page
    assert "Not timed in the race, since it failed then: `noprop`." in page


def test_a_race_on_another_processor_than_the_cells_is_said_to_be() -> None:
    cells = [cell(method, seed, 0.95) for method in ("backprop", "noprop") for seed in range(3)]
    here = report_page(arrange(make_run(cells), cells, race=make_race()))
    assert "The race ran" not in here
    moved = make_race(environment=make_environment(cpu="Other 9"))
    page = report_page(arrange(make_run(cells), cells, race=moved))
    assert f"another processor (Other 9) than the cells ({cells[0].environment.cpu})." in page


def test_networks_of_different_size_are_said_to_be() -> None:
    methods: dict[str, dict[str, Any]] = {
        "backprop": BACKPROP,
        "noprop": {"accuracy": 0.95, "parameters": 7_000},
        "backprop-plain": {"accuracy": 0.95, "parameters": 500},
    }
    methods["backprop"] = BACKPROP | {"parameters": 7_000}
    page = report_page(run_of(methods))
    assert "from 500 parameters (`backprop-plain`) to 7,000 parameters (`backprop` and `noprop`)" in page
    methods["backprop-plain"]["parameters"] = 6_000
    assert "Their networks" not in report_page(run_of(methods))


def test_one_block_is_put_beside_the_chain() -> None:
    methods: dict[str, dict[str, Any]] = {
        "backprop": BACKPROP,
        "noprop": {"accuracy": 0.95},
        "noprop[T=1]": {"accuracy": 0.94, "method_name": "noprop", "config": make_config(options={"T": 1})},
    }
    text = " ".join(lines(run_of(methods)))
    assert re.search(
        r"One block, without a chain \(`noprop\[T=1\]`\), has 98\.\d\d% in .* the chain has 98\.\d\d%", text
    )


def test_the_answer_is_about_the_inference_with_the_best_validation_accuracy() -> None:
    methods: dict[str, dict[str, Any]] = {
        "backprop": BACKPROP,
        "noprop": {"accuracy": 0.85, "val_accuracy": 0.86, "trained_with": "noprop"},
        "noprop[sampler=mean]": {"accuracy": 0.97, "val_accuracy": 0.96, "trained_with": "noprop"},
    }
    text = " ".join(lines(run_of(methods)))
    assert "`noprop[sampler=mean]` is more accurate than `backprop`" in text
    assert "Of `noprop`, `noprop[sampler=mean]`, which share a training, it has the best validation accuracy." in text
    methods["noprop"]["val_accuracy"] = 0.96
    tied = " ".join(lines(run_of(methods)))
    assert "it ties with `noprop[sampler=mean]` for the best validation accuracy" in tied
    methods["noprop"]["val_accuracy"] = 0.97
    assert "`noprop` is less accurate than `backprop`" in " ".join(lines(run_of(methods)))


def test_an_undecided_method_whose_own_interval_is_below_zero_is_probably_less_accurate() -> None:
    others = {name: {"accuracy": 0.9} for name in ("dfa", "local-loss", "mono-forward", "forward-forward")}
    accuracies = (0.944, 0.95, 0.941)  # of seeds 0, 1, 2
    alone = [
        cell(method, seed, **(given if method != "noprop" else {"accuracy": accuracies[seed]}))
        for seed in range(3)
        for method, given in ({"backprop": {"accuracy": 0.97}, "noprop": {}} | others).items()
    ]
    (data,) = arrange(make_run(alone), alone).datasets
    judged = findings(data).of("noprop").accuracy
    assert judged is not None
    assert judged.effect.alone is not None
    assert judged.effect.family is not None
    assert judged.effect.alone.high < 0 < judged.effect.family.high
    text = " ".join(lines(arrange(make_run(alone), alone)))
    assert "`noprop` is probably less accurate than `backprop` (−1.43 points" in text
    assert "**Probably less accurate; time undecided**" in text
    assert "; undecided when all methods are judged together" in text


def test_further_inferences_of_a_training_do_not_widen_the_intervals_of_the_methods() -> None:
    methods = {"backprop": BACKPROP, "noprop": {"accuracy": 0.9, "trained_with": "noprop"}}
    alone = [cell(method, seed, **given) for seed in range(3) for method, given in methods.items()]
    further = [
        each.model_copy(update={"method": f"noprop[samples={samples}]"})
        for each in alone
        if each.method == "noprop"
        for samples in range(2, 9)
    ]
    (before,) = arrange(make_run(alone), alone).datasets
    (after,) = arrange(make_run([*alone, *further]), [*alone, *further]).datasets
    assert findings(after).of("noprop").accuracy == findings(before).of("noprop").accuracy
    one, several = (findings(after).of(m).accuracy for m in ("noprop", "noprop[samples=2]"))
    assert one is not None
    assert several is not None
    assert one.effect.alone == several.effect.alone
    assert one.effect.family != several.effect.family


def test_the_terminal_says_the_same(tmp_path: Path) -> None:
    truth = (("backprop", 0.95), ("noprop", 0.85))
    cells = [cell(method, seed, accuracy) for method, accuracy in truth for seed in range(3)]
    text = closing_text(arrange(make_run(cells), cells))
    assert "noprop is less accurate than backprop" in " ".join(text.split())
    assert "`" not in text
    assert "details.md" in build_report(write_run(tmp_path / "run", cells)).read_text()


def test_rows_of_one_training_count_its_time_once_and_say_so() -> None:
    methods = {"backprop": BACKPROP, "noprop": {"accuracy": 0.9, "trained_with": "noprop"}, "dfa": {"accuracy": 0.8}}
    alone = [cell(method, seed, **given) for seed in range(3) for method, given in methods.items()]
    variants = [
        each.model_copy(update={"method": "noprop[sampler=mean]", "trained_with": "noprop"})
        for each in alone
        if each.method == "noprop"
    ]
    (before,) = arrange(make_run(alone), alone).datasets
    view = arrange(make_run([*alone, *variants]), [*alone, *variants])
    (data,) = view.datasets
    found = findings(data)
    assert found.costs is not None
    assert (found.costs.df, found.costs.sd) == (findings(before).costs.df, findings(before).costs.sd)  # type: ignore[union-attr]
    times = [
        each.time.effect for each in (*found.rows, *findings(before).rows) if each.time and "noprop" in each.method
    ]
    assert times == [times[0]] * 3
    said = "`noprop`, `noprop[sampler=mean]` differ at inference alone and share one training per seed"
    assert said in " ".join(report_page(view).split())
    assert "differ at inference alone" not in report_page(arrange(make_run(alone), alone))
