"""The report's statistics against known answers."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy.stats import bootstrap

from reports.statistics.estimates import (
    Estimate,
    RatioEstimate,
    bootstrap_t,
    estimate,
    median_with_misses,
    paired_differences,
    paired_ratios,
    ratio_estimate,
    student_t,
)


def test_interval_of_three_values_by_hand() -> None:
    # mean 4, s = 2, t(2) = 4.3027 from any table of Student's t: 4.3027 * 2 / sqrt(3) = 4.9683
    result = estimate([2.0, 4.0, 6.0])
    assert result is not None
    assert result.mean == 4.0
    assert result.sd == 2.0
    assert result.half_width == pytest.approx(4.9683, abs=1e-4)
    assert result.n == 3


@pytest.mark.parametrize(("degrees", "t"), [(1, 12.7062), (4, 2.7764), (9, 2.2622), (29, 2.0452)])
def test_student_t_agrees_with_printed_tables(degrees: int, t: float) -> None:
    assert student_t(degrees) == pytest.approx(t, abs=1e-4)


def test_one_value_has_no_interval_and_none_has_no_estimate() -> None:
    assert estimate([0.9]) == Estimate(0.9, None, None, 1)
    assert estimate([]) is None


@pytest.mark.parametrize("n", [3, 4, 10, 20])
def test_intervals_cover_the_true_mean_as_often_as_they_say(n: int) -> None:
    samples = np.random.default_rng(0).normal(10.0, 3.0, size=(4000, n))
    results = [estimate(sample.tolist()) for sample in samples]
    covered = [abs(r.mean - 10.0) <= r.half_width for r in results if r is not None and r.half_width is not None]
    assert len(covered) == 4000
    # 4 standard errors of a proportion of 0.95 over 4,000: normal quantiles would cover 0.85 at n = 4 and fail.
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_the_bca_bootstrap_of_scipy_would_cover_too_seldom() -> None:
    """Why `bootstrap_t` is there: with BCa this many trials would be enough to fail the test above."""
    samples = np.random.default_rng(0).normal(10.0, 3.0, size=(1000, 10))
    low, high = bootstrap(
        (samples,), np.mean, axis=-1, n_resamples=999, method="BCa", batch=50, rng=np.random.default_rng(1)
    ).confidence_interval
    assert np.mean((low <= 10.0) & (high >= 10.0)) < 0.92


def test_the_bootstrap_covers_skewed_values_too() -> None:
    samples = np.random.default_rng(1).lognormal(0.0, 0.5, size=(3000, 12))
    results = [estimate(sample.tolist()) for sample in samples]
    truth = math.exp(0.125)
    assert 0.93 <= np.mean([abs(r.mean - truth) <= (r.half_width or 0) for r in results if r is not None]) <= 0.97


def test_the_bootstrap_is_the_same_each_time_and_gives_way_where_values_hardly_vary() -> None:
    spread = [float(value) for value in range(10)]
    assert bootstrap_t(spread) == bootstrap_t(spread)
    nearly_equal = [1.0] * 9 + [2.0]
    assert bootstrap_t(nearly_equal) is None
    result = estimate(nearly_equal)
    assert result is not None
    assert result.half_width == pytest.approx(student_t(9) * 0.1, rel=1e-6)  # s / sqrt(n) is 0.1
    assert estimate([1.0] * 10) == Estimate(1.0, 0.0, 0.0, 10)


@pytest.mark.parametrize("values", [[0.3] * 9 + [0.6], [98.0555555] * 11 + [97.7]])
def test_values_that_rounding_spreads_a_little_are_still_equal(values: list[float]) -> None:
    """The mean of ten times 0.3 is not 0.3 to the last bit: taken for a spread, it makes an interval of 1e13."""
    assert bootstrap_t(values) is None
    result = estimate(values)
    assert result is not None
    assert result.half_width == pytest.approx(student_t(result.n - 1) * (result.sd or 0) / math.sqrt(result.n))


def test_pairs_are_made_by_seed_whatever_the_order_and_without_seeds_that_only_one_has() -> None:
    theirs = {0: 10.0, 1: 20.0, 2: 40.0, 7: 1.0}
    ours = {2: 20.0, 0: 20.0, 1: 30.0, 5: 999.0}
    assert paired_ratios(ours, theirs) == [2.0, 1.5, 0.5]
    assert paired_differences(ours, theirs) == [10.0, 10.0, -20.0]


def test_a_ratio_to_zero_is_left_out() -> None:
    assert paired_ratios({0: 1.0, 1: 1.0}, {0: 0.0, 1: 2.0}) == [0.5]


def test_a_miss_counts_as_infinite_in_the_median() -> None:
    assert median_with_misses([30.0, 10.0, None]) == 30.0
    assert median_with_misses([10.0, None, None]) == math.inf
    with pytest.raises(statistics.StatisticsError):
        median_with_misses([])


def test_overlap_is_about_shared_points() -> None:
    left, right = Estimate(1.0, 1.0, 0.5, 3), Estimate(2.0, 1.0, 0.6, 3)
    assert left.overlaps(right)
    assert not left.overlaps(Estimate(2.0, 1.0, 0.4, 3))
    assert not left.overlaps(Estimate(1.0, None, None, 1))


def test_a_mean_ratio_turned_round_is_the_mean_of_the_ratios_turned_round() -> None:
    ratios = [0.43, 2.39, 1.1]
    one, other = ratio_estimate(ratios), ratio_estimate(1 / ratio for ratio in ratios)
    assert one is not None
    assert other is not None
    assert one.mean == pytest.approx(1 / other.mean)
    assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))  # type: ignore[operator]
    assert ratio_estimate([2.0, 0.5]).mean == pytest.approx(1)  # type: ignore[union-attr]
    assert ratio_estimate([2.0]) == RatioEstimate(2.0, None, None, 1)
    assert ratio_estimate([]) is None
