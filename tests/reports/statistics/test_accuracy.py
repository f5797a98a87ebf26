"""Differences in accuracy: what they are intervals for, and the cases in which little is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from reports.statistics.accuracy import Answers, accuracy_changes, accuracy_effects, answers_of
from reports.statistics.effect import Basis, Verdict
from results.answers import pack
from tests.factories import make_cell, make_data

MARGIN = 0.5


def answers(right: NDArray[np.bool_], *, known: bool = True) -> Answers:
    """Of cells with seeds 0, 1, ...: `right` is (seeds, images)."""
    accuracy = {seed: float(each.mean()) for seed, each in enumerate(right)}
    return Answers(accuracy, dict(enumerate(right)) if known else {}, right.shape[1])


def drawn(seeds: int, images: int, accuracy: float, key: int) -> NDArray[np.bool_]:
    return np.random.default_rng(key).random((seeds, images)) < accuracy


def test_the_difference_is_the_mean_over_shared_seeds_in_points() -> None:
    right = np.array([[True, True, False, False], [True, True, True, False]])
    reference = np.array([[True, False, False, False], [True, True, False, False]])
    effect = accuracy_effects({"a": answers(right), "r": answers(reference)}, "r")["a"]
    assert effect.value == pytest.approx(25.0)
    assert (effect.seeds, effect.basis) == (2, Basis.SEEDS_AND_IMAGES)


def test_with_one_seed_the_interval_is_that_of_the_images() -> None:
    a, r = drawn(1, 10_000, 0.9, 1), drawn(1, 10_000, 0.9, 2)
    effect = accuracy_effects({"a": answers(a), "r": answers(r)}, "r")["a"]
    assert effect.basis is Basis.IMAGES
    assert effect.alone is not None
    d = a[0].astype(float) - r[0]
    assert effect.alone.high - effect.value == pytest.approx(100 * 1.96 * d.std() / 100, rel=0.01)
    assert effect.seeds_to_decide(MARGIN, 1) is None


def test_with_one_seed_and_no_answers_there_is_no_interval() -> None:
    a, r = (answers(drawn(1, 100, 0.9, key), known=False) for key in (1, 2))
    effect = accuracy_effects({"a": a, "r": r}, "r")["a"]
    assert effect.alone is None
    assert effect.verdict(MARGIN, higher_is_better=True) is Verdict.UNDECIDED


def test_without_answers_the_interval_is_students_over_seeds() -> None:
    a = Answers({0: 0.90, 1: 0.92, 2: 0.91}, {}, 1_000_000)
    r = Answers({0: 0.88, 1: 0.89, 2: 0.90}, {}, 1_000_000)
    effect = accuracy_effects({"a": a, "r": r}, "r")["a"]
    gaps = np.array([2.0, 3.0, 1.0])
    assert effect.basis is Basis.SEEDS
    assert effect.alone is not None
    assert effect.alone.high - effect.value == pytest.approx(4.3027 * gaps.std(ddof=1) / 3**0.5, rel=1e-3)


def test_images_that_all_cells_share_do_not_average_out_over_seeds() -> None:
    """Ten seeds that are the same model: as much is known as of one."""
    a, r = drawn(1, 2_000, 0.9, 3), drawn(1, 2_000, 0.9, 4)
    one = accuracy_effects({"a": answers(a), "r": answers(r)}, "r")["a"]
    ten = accuracy_effects({"a": answers(np.repeat(a, 10, 0)), "r": answers(np.repeat(r, 10, 0))}, "r")["a"]
    assert one.alone is not None
    assert ten.alone is not None
    assert ten.alone.high - ten.alone.low == pytest.approx(one.alone.high - one.alone.low, rel=0.05)


def test_methods_that_agree_on_every_image_are_equivalent_where_the_test_set_is_large_enough() -> None:
    right = drawn(3, 10_000, 0.98, 5)
    effect = accuracy_effects({"a": answers(right), "r": answers(right)}, "r")["a"]
    assert effect.verdict(MARGIN, higher_is_better=True) is Verdict.EQUIVALENT
    few = accuracy_effects({"a": answers(right[:, :20]), "r": answers(right[:, :20])}, "r")["a"]
    assert few.verdict(MARGIN, higher_is_better=True) is Verdict.UNDECIDED


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_methods_at_0_or_100_percent_have_an_interval(level: float) -> None:
    right = np.full((3, 500), bool(level))
    effect = accuracy_effects({"a": answers(right), "r": answers(drawn(3, 500, 0.5, 6))}, "r")["a"]
    assert effect.verdict(MARGIN, higher_is_better=True) is (Verdict.BETTER if level else Verdict.WORSE)


def test_a_method_without_a_shared_seed_is_left_out() -> None:
    a, r = Answers({0: 0.9}, {}, 100), Answers({1: 0.9}, {}, 100)
    assert accuracy_effects({"a": a, "r": r}, "r") == {}


def test_the_seeds_that_would_decide_are_more_where_seeds_differ_more() -> None:
    r = answers(drawn(3, 10_000, 0.95, 7), known=False)
    steady = Answers({0: 0.950, 1: 0.951, 2: 0.952}, {}, 10_000)
    shaky = Answers({0: 0.940, 1: 0.952, 2: 0.960}, {}, 10_000)
    effects = accuracy_effects({"r": r, "steady": steady, "shaky": shaky}, "r")
    few, many = (effects[name].seeds_to_decide(2.0, 2) for name in ("steady", "shaky"))
    assert few is not None
    assert many is not None
    assert 3 <= few < many


def test_two_runs_without_images_are_two_samples() -> None:
    old, new = [0.90, 0.92, 0.94], [0.95, 0.93, 0.96]
    runs = [Answers(dict(enumerate(values)), {}, 0) for values in (old, new)]
    alone = accuracy_changes({"m": (runs[0], runs[1])})["m"].alone
    expected = stats.ttest_ind(new, old).confidence_interval(0.95)
    assert alone is not None
    assert (alone.low, alone.high) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_answers_of_cells_have_images_only_where_all_have_the_same_data() -> None:
    right = np.arange(10_000) % 10 != 0
    cells = [make_cell(seed=seed, test_accuracy=0.9, test_correct=pack(right), data=make_data()) for seed in (0, 1)]
    found = answers_of(cells)
    assert found.accuracy == {0: 0.9, 1: 0.9}
    assert found.images == len(right)
    assert all((each == right).all() for each in found.right.values())
    other = cells[1].model_copy(update={"data": make_data(fingerprint="other")})
    assert answers_of([cells[0], other]).right == {}
