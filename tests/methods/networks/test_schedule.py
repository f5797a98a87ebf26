"""The discrete schedule against its defining properties, Monte-Carlo estimates and independent formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from methods.networks.schedule import DiscreteSchedule, cosine_alpha_bar, linear_alpha_bar, snr

DRAWS = 400_000


def make(T: int, alpha_bar_min: float = 0.001, alpha_bar_max: float = 0.999) -> DiscreteSchedule:
    return DiscreteSchedule.from_alpha_bar(cosine_alpha_bar(T, alpha_bar_min, alpha_bar_max))


@pytest.mark.parametrize("T", [1, 2, 10, 100, 1000])
@pytest.mark.parametrize("ends", [(0.001, 0.999), (1e-6, 1 - 1e-6), (0.3, 0.31)])
def test_alpha_bar_increases_from_end_to_end_and_every_weight_is_positive(T: int, ends: tuple[float, float]) -> None:
    schedule = make(T, *ends)
    assert len(schedule.alpha_bar) == T + 1
    assert schedule.alpha_bar[0] == pytest.approx(ends[0])
    assert schedule.alpha_bar[-1] == pytest.approx(ends[1])
    assert len(schedule.weight) == T
    assert min(schedule.weight) > 0


def test_cosine_is_the_squared_cosine_of_the_time_left() -> None:
    alpha_bar = cosine_alpha_bar(10, 1e-12, 1 - 1e-12)
    for t in range(11):
        assert float(alpha_bar[t]) == pytest.approx(math.cos(math.pi / 2 * (10 - t) / 10) ** 2, abs=1e-5)


@pytest.mark.parametrize("T", [1, 2, 10, 1000])
def test_linear_goes_up_in_equal_steps(T: int) -> None:
    alpha_bar = linear_alpha_bar(T, 0.001, 0.999)
    torch.testing.assert_close(alpha_bar.diff(), torch.full((T,), 0.998 / T, dtype=torch.float64))
    schedule = DiscreteSchedule.from_alpha_bar(alpha_bar)
    assert min(schedule.weight) > 0
    assert schedule.alpha_bar[0] == pytest.approx(0.001)
    assert schedule.alpha_bar[-1] == pytest.approx(0.999)


def test_weights_telescope() -> None:
    alpha_bar = cosine_alpha_bar(10, 0.001, 0.999)
    ratios = snr(alpha_bar)
    assert sum(make(10).weight) == pytest.approx(float(ratios[-1] - ratios[0]))
    assert float(ratios[-1]) == pytest.approx(0.999 / 0.001)


@pytest.mark.parametrize("t", [1, 2, 5, 10])
def test_coefficients_are_those_of_the_posterior(t: int) -> None:
    """Draw (z_t, z_{t-1}) from the forward process and regress: slope b, intercept a u, residual variance c."""
    schedule = make(10)
    generator = torch.Generator().manual_seed(t)
    u = 0.8
    before, after = schedule.alpha_bar[t - 1], schedule.alpha_bar[t]
    alpha = before / after

    def noise() -> Tensor:
        return torch.randn(DRAWS, generator=generator, dtype=torch.float64)

    z_t = math.sqrt(after) * u + math.sqrt(1 - after) * noise()
    z_before = math.sqrt(alpha) * z_t + math.sqrt(1 - alpha) * noise()
    covariance = torch.cov(torch.stack([z_before, z_t]))
    slope = float(covariance[0, 1] / covariance[0, 0])
    intercept = float(z_t.mean()) - slope * float(z_before.mean())
    residual = float(covariance[1, 1]) - slope * float(covariance[0, 1])
    error = 5 * math.sqrt(schedule.c[t - 1] / DRAWS)
    assert schedule.b[t - 1] == pytest.approx(slope, abs=2 * error)
    assert schedule.a[t - 1] * u == pytest.approx(intercept, abs=2 * error)
    assert schedule.c[t - 1] == pytest.approx(residual, rel=0.02)


@pytest.mark.parametrize("T", [1, 5, 10, 50])
def test_oracle_sampler_reproduces_every_marginal(T: int) -> None:
    schedule = make(T)
    u = torch.tensor([1.0, 0.0, -0.7]).expand(DRAWS // 4, 3)
    torch.manual_seed(0)
    z = schedule.sample(0, u)
    for t in range(1, T + 1):
        z = schedule.step(t, z, u, torch.randn_like(u))
        spread = math.sqrt(1 - schedule.alpha_bar[t])
        error = 5 * spread / math.sqrt(len(u))
        torch.testing.assert_close(z.mean(0), math.sqrt(schedule.alpha_bar[t]) * u[0], rtol=0, atol=error)
        torch.testing.assert_close(z.var(0), torch.full((3,), spread**2), rtol=0.03, atol=0)


def test_sample_has_the_marginal_of_its_step() -> None:
    schedule = make(10)
    u = torch.tensor([1.0, 0.0]).expand(DRAWS // 4, 2)
    torch.manual_seed(0)
    for t in (0, 3, 10):
        z = schedule.sample(t, u)
        spread = math.sqrt(1 - schedule.alpha_bar[t])
        torch.testing.assert_close(
            z.mean(0), math.sqrt(schedule.alpha_bar[t]) * u[0], rtol=0, atol=5 * spread / math.sqrt(len(u))
        )
        torch.testing.assert_close(z.var(0), torch.full((2,), spread**2), rtol=0.03, atol=0)


@pytest.mark.parametrize("alpha_bar_min", [0.001, 0.2])
def test_kl_is_torchs(alpha_bar_min: float) -> None:
    u = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    q = Normal(math.sqrt(alpha_bar_min) * u, torch.full_like(u, math.sqrt(1 - alpha_bar_min)))
    expected = kl_divergence(Independent(q, 1), Independent(Normal(torch.zeros_like(u), torch.ones_like(u)), 1))
    torch.testing.assert_close(make(10, alpha_bar_min).kl_to_standard_normal(u), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alpha_bar", [[0.9, 0.5, 0.1], [0.1, 0.1, 0.9], [0.0, 0.5], [0.5, 1.0]])
def test_refuses_what_does_not_increase_inside_the_unit_interval(alpha_bar: list[float]) -> None:
    with pytest.raises(ValueError, match="increase strictly"):
        DiscreteSchedule.from_alpha_bar(torch.tensor(alpha_bar))
