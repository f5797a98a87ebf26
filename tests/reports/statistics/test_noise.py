"""The bound of noise against simulated machines whose spread is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.statistics.noise import is_noise, noise_bound
from tests.factories import make_calibration


@pytest.mark.parametrize("seeds", [1, 3, 10])
@pytest.mark.parametrize("pairs", [5, 20])
def test_a_method_against_itself_is_within_noise_95_times_in_100(pairs: int, seeds: int) -> None:
    """Both the calibration and the comparison are drawn from the same machine, many times over."""
    rng = np.random.default_rng(pairs * 100 + seeds)
    trials, sd = 4000, 0.03
    spreads = np.sqrt(np.square(rng.normal(0, sd, (trials, pairs))).mean(axis=1))
    means = rng.normal(0, sd, (trials, seeds)).mean(axis=1)
    within = sum(
        is_noise(
            make_calibration(pairs=pairs, spread={"train_seconds": float(spread)}),
            "train_seconds",
            math.exp(mean),
            seeds,
        )
        for spread, mean in zip(spreads, means, strict=True)
    )
    assert within / trials == pytest.approx(0.95, abs=0.015)


def test_a_difference_well_beyond_the_spread_is_not() -> None:
    calibration = make_calibration(pairs=10, spread={"train_seconds": 0.01})
    assert is_noise(calibration, "train_seconds", 1.02, seeds=1)
    assert is_noise(calibration, "train_seconds", 1 / 1.02, seeds=1)
    assert not is_noise(calibration, "train_seconds", 1.03, seeds=1)
    assert not is_noise(calibration, "train_seconds", 1.02, seeds=10)


def test_what_is_not_known_is_not_called_noise() -> None:
    calibration = make_calibration(spread={"train_seconds": 0.01})
    assert not is_noise(None, "train_seconds", 1.0, seeds=3)
    assert not is_noise(calibration, "rss_rise_bytes", 1.0, seeds=3)
    assert noise_bound(calibration, "train_seconds", 0) is None


def test_a_quantity_that_never_varies_has_no_noise() -> None:
    calibration = make_calibration(spread={"gpu_peak_allocated_bytes": 0.0})
    assert is_noise(calibration, "gpu_peak_allocated_bytes", 1.0, seeds=3)
    assert not is_noise(calibration, "gpu_peak_allocated_bytes", 1.0001, seeds=3)
