"""How many rounds there are, and the ratio of the loop to its steps: plain tests, always run."""

from __future__ import annotations

import pytest

from tests.benchmarks.rounds import LEAST, MOST, loop_ratio, paired_ratio, rounds_within


@pytest.mark.parametrize(
    ("seconds", "call_seconds", "rounds"), [(1.5, 0.1, 15), (1.5, 4.0, LEAST), (1.5, 1e-6, MOST), (8.0, 0.7, 11)]
)
def test_rounds_fit_the_time_within_bounds(seconds: float, call_seconds: float, rounds: int) -> None:
    assert rounds_within(seconds, call_seconds) == rounds


def test_a_machine_that_slows_down_steadily_does_not_bias_the_ratio() -> None:
    """Calls take turns; each takes 1% of the first one's time longer than the last, the loop 3% more than its steps."""
    pace = [1 + 0.01 * position for position in range(11)]
    ratio = loop_ratio([1.03 * each for each in pace[1::2]], pace[::2], steps=8)
    assert ratio.median == pytest.approx(1.03)
    assert ratio.iqr == pytest.approx(0, abs=1e-12)
    assert (ratio.epochs, ratio.steps) == (5, 8)


def test_the_ratio_is_a_median_with_its_spread() -> None:
    ratio = loop_ratio([1.0, 1.1, 1.2, 1.3, 9.0], [1.0] * 6, steps=8)
    assert ratio.median == pytest.approx(1.2)
    assert ratio.iqr == pytest.approx(0.2)


def test_a_bound_is_a_ratio_of_speeds() -> None:
    """A step of 3 operations in 6 s against a product of 10 operations in 4 s: 0.5 a second against 2.5, a fifth."""
    ratio = paired_ratio([6.0] * 5, [4.0] * 6, factor=10 / 3)
    assert ratio.median == pytest.approx(5.0)
    assert (ratio.iqr, ratio.pairs) == (0.0, 5)
