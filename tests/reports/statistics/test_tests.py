"""The paired test against counting by hand, and the correction against its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from reports.statistics.tests import ALPHA, EXACT_UP_TO, holm, least_p, seeds_needed, sign_flip_p, sign_flip_ps


@pytest.mark.parametrize("seed", range(5))
def test_p_is_the_share_of_all_signs_that_are_as_far_from_zero(seed: int) -> None:
    data = np.random.default_rng(seed).normal(0.5, 1.0, size=7)
    means = [abs(np.mean(data * signs)) for signs in itertools.product([1, -1], repeat=7)]
    assert sign_flip_p(data.tolist()) == pytest.approx(np.mean(np.array(means) >= abs(data.mean()) - 1e-12))


@pytest.mark.parametrize("seeds", [3, EXACT_UP_TO, EXACT_UP_TO + 1, 30])
@pytest.mark.parametrize("decimals", [0, 6], ids=["with ties", "without"])
def test_scipy_gives_the_same_p(seeds: int, decimals: int) -> None:
    samples = np.random.default_rng(seeds).normal(0.4, 1.0, size=(6, seeds)).round(decimals)
    for sample in samples[samples.any(axis=1)]:
        found = permutation_test(
            (sample,),
            np.mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=2**EXACT_UP_TO,
            rng=np.random.default_rng(0),
        )
        assert sign_flip_p(sample.tolist()) == pytest.approx(min(1.0, found.pvalue), abs=1e-12)


def test_tests_with_different_seeds_are_worked_out_apart_and_in_their_order() -> None:
    tests = [[1.0, 2.0, 3.0], [0.5], [0.0, 0.0], [1.0, 2.0, 3.0, 4.0], [1.0, -2.0, 3.0]]
    assert sign_flip_ps(tests) == [sign_flip_p(each) for each in tests] == [0.25, 1.0, 1.0, 0.125, 0.75]


@pytest.mark.parametrize("seeds", [2, 3, 6, 8])
def test_differences_of_one_sign_have_the_least_p_that_their_number_can_give(seeds: int) -> None:
    assert sign_flip_p([float(k + 1) for k in range(seeds)]) == pytest.approx(least_p(seeds))


@pytest.mark.parametrize("differences", [[0.3], [0.0, 0.0, 0.0]])
def test_one_seed_or_no_difference_shows_nothing(differences: list[float]) -> None:
    assert sign_flip_p(differences) == 1.0


def test_no_differences_are_no_test() -> None:
    with pytest.raises(ValueError, match="no differences"):
        sign_flip_p([])


def test_many_seeds_are_tested_on_a_random_choice_of_signs() -> None:
    chance = np.random.default_rng(0)
    assert sign_flip_p(chance.normal(1.0, 1.0, 40).tolist()) < 0.001
    assert sign_flip_p(chance.normal(0.0, 1.0, 40).tolist()) > ALPHA


def test_the_test_rejects_a_true_hypothesis_no_more_often_than_it_says() -> None:
    samples = np.random.default_rng(0).standard_t(3, size=(1500, 7))
    rejected = np.mean([sign_flip_p(sample.tolist()) <= ALPHA for sample in samples])
    # Exact: 6 of 128 signs lie at or below 0.05.
    assert rejected == pytest.approx(6 / 128, abs=4 * np.sqrt(0.047 * 0.953 / 1500))


def test_holm_by_hand() -> None:
    # Sorted .01, .03, .04: times 3, 2, 1, then never less than the one before.
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_the_number_of_seeds_said_to_be_enough_is_the_least_that_is() -> None:
    for tests in range(1, 60):
        enough = seeds_needed(tests)
        assert tests * least_p(enough) <= ALPHA < tests * least_p(enough - 1)
