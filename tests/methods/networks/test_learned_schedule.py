"""The learned schedule: monotone whatever its parameters, derivatives and formulas against independent ones."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad, solve_ivp
from torch import Tensor

from methods.networks import learned_schedule as formulas
from methods.networks.learned_schedule import LearnedSchedule

TIMES = torch.linspace(0, 1, 101, dtype=torch.float64)


def schedule(seed: int | None = None) -> LearnedSchedule:
    """As training starts it, or with random parameters."""
    made = LearnedSchedule(0.001, 0.99).double()
    if seed is not None:
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(2 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_gamma_falls_and_the_weight_is_positive(seed: int | None) -> None:
    gamma, slope = schedule(seed)(TIMES)
    assert bool((gamma.diff() < 0).all())
    assert bool((slope < 0).all())
    assert bool((formulas.snr_slope(gamma, slope) > 0).all())
    assert bool((formulas.alpha_bar(gamma).diff() >= 0).all())


def test_it_starts_at_the_ends_asked_for() -> None:
    gamma, _ = schedule()(TIMES)
    signal = formulas.alpha_bar(gamma).detach()
    assert float(signal[0]) == pytest.approx(0.001, rel=1e-4)
    assert float(signal[-1]) == pytest.approx(0.99, rel=1e-4)


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_derivative_is_autograds_and_finite_differences(seed: int | None) -> None:
    made = schedule(seed)
    t = TIMES[1:-1].clone().requires_grad_()
    gamma, slope = made(t)
    (by_autograd,) = torch.autograd.grad(gamma.sum(), t)
    torch.testing.assert_close(slope, by_autograd)
    h = 1e-6
    with torch.no_grad():
        difference = (made(t + h)[0] - made(t - h)[0]) / (2 * h)
    torch.testing.assert_close(slope.detach(), difference, rtol=1e-5, atol=1e-6)


def test_every_parameter_gets_a_gradient_from_the_slope() -> None:
    made = schedule(0)
    gamma, slope = made(torch.rand(16, dtype=torch.float64))
    formulas.snr_slope(gamma, slope).log().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in made.parameters())


def test_weights_integrate_to_the_increase_of_the_snr() -> None:
    """The integral of SNR' from 0 to 1 is SNR(1) - SNR(0), with SNR from alpha_bar."""
    made = schedule(1)

    def weight(t: float) -> float:
        with torch.no_grad():
            return float(formulas.snr_slope(*made(torch.tensor(t, dtype=torch.float64))))

    with torch.no_grad():
        first, last = formulas.alpha_bar(made(torch.tensor([0.0, 1.0], dtype=torch.float64))[0]).tolist()
    total, _ = quad(weight, 0, 1, limit=500)
    assert total == pytest.approx(last / (1 - last) - first / (1 - first), rel=1e-4)


def test_kl_is_the_integral_of_its_definition() -> None:
    """KL(N(m, v) || N(0, 1)) by numerical integration, one dimension at a time."""
    gamma = torch.tensor(0.4, dtype=torch.float64)
    u = torch.tensor([[0.7, -1.2, 0.0]], dtype=torch.float64)
    signal, variance = float(torch.sigmoid(-gamma)), float(torch.sigmoid(gamma))

    def one(mean: float) -> float:
        def integrand(z: float) -> float:
            log_q = -0.5 * (z - mean) ** 2 / variance - 0.5 * math.log(2 * math.pi * variance)
            log_p = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
            return math.exp(log_q) * (log_q - log_p)

        return float(quad(integrand, -15, 15)[0])

    expected = sum(one(math.sqrt(signal) * value) for value in u[0].tolist())
    assert float(formulas.kl_to_standard_normal(u, gamma)) == pytest.approx(expected, rel=1e-6)


def test_noised_labels_have_the_marginals_mean_and_variance() -> None:
    torch.manual_seed(0)
    gamma = torch.full((40_000,), 0.5)
    u = torch.tensor([1.0, 0.0]).expand(40_000, -1)
    z = formulas.noised(u, gamma, torch.randn_like(u))
    signal = 1 / (1 + math.exp(0.5))
    torch.testing.assert_close(z.mean(0), torch.tensor([math.sqrt(signal), 0.0]), rtol=0, atol=0.02)
    torch.testing.assert_close(z.var(0), torch.full((2,), 1 - signal), rtol=0.03, atol=0)


def test_the_flow_of_an_oracle_keeps_the_marginals() -> None:
    """With u_hat = u, z_0 = sqrt(a_0) u + sqrt(1 - a_0) e must go to sqrt(a_1) u + sqrt(1 - a_1) e for the same e."""
    made = schedule(2)
    u, noise = torch.tensor([[0.3, -1.0, 2.0]]).double(), torch.tensor([[1.5, -0.2, 0.4]]).double()

    def at(t: float) -> Tensor:
        with torch.no_grad():
            return formulas.noised(u, made(torch.tensor([t], dtype=torch.float64))[0], noise)

    def field(t: float, z: object) -> object:
        with torch.no_grad():
            gamma, slope = made(torch.tensor(t, dtype=torch.float64))
            return formulas.probability_flow(torch.as_tensor(z).view(1, -1), u, gamma, slope).flatten().numpy()

    solved = solve_ivp(field, (0, 1), at(0.0).flatten().numpy(), rtol=1e-9, atol=1e-10, t_eval=[0.3, 0.7, 1.0])
    for t, z in zip(solved.t, solved.y.T, strict=True):
        torch.testing.assert_close(torch.as_tensor(z), at(float(t)).flatten(), rtol=1e-5, atol=1e-6)
