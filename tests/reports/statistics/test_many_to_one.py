"""Critical values of several comparisons with one reference, against Dunnett's table and against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.statistics.many_to_one import EQUAL_LOADING, all_within, critical_value


@pytest.mark.parametrize(
    ("comparisons", "df", "expected"),
    [(2, 20, 2.38), (3, 20, 2.54), (5, 20, 2.73), (9, 20, 2.95), (2, math.inf, 2.21), (9, math.inf, 2.69)],
)
def test_equal_groups_give_the_values_of_dunnetts_two_sided_table(comparisons: int, df: float, expected: float) -> None:
    assert critical_value((EQUAL_LOADING,) * comparisons, df, 0.95) == pytest.approx(expected, abs=0.006)


def test_unequal_loadings_give_the_joint_distribution_that_scipy_integrates() -> None:
    loadings = np.array([0.3, 0.6, 0.8])
    correlation = np.outer(loadings, loadings)
    np.fill_diagonal(correlation, 1.0)
    joint = stats.multivariate_t(shape=correlation, df=7, seed=1)
    assert all_within(2.1, tuple(loadings), 7) == pytest.approx(
        joint.cdf([2.1] * 3, lower_limit=[-2.1] * 3, maxpts=200_000), abs=2e-3
    )


def test_one_comparison_needs_no_correction() -> None:
    assert critical_value((EQUAL_LOADING,), 4, 0.95) == pytest.approx(stats.t.ppf(0.975, 4))


def test_comparisons_that_share_nothing_multiply() -> None:
    single = all_within(2.5, (0.0,), math.inf)
    assert all_within(2.5, (0.0,) * 6, math.inf) == pytest.approx(single**6)
