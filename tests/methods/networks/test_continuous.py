"""The methods in continuous time: what each is trained on, how inference solves it, and what must be independent."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

import methods
from methods.networks import learned_schedule as formulas
from methods.networks.continuous import ContinuousOptions, path, shown_steps, solve, spread_times
from methods.noprop_fm import end_point, matching_loss
from tests.methods.helpers import batch, build, plain_sgd, real_digits, same, snapshot, train

CONTINUOUS = ("noprop-ct", "noprop-fm", "adjoint")


def solved(solver: str, steps: int, field, start: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    return solve(field, start, ContinuousOptions(solver=solver, steps=steps))  # type: ignore[arg-type]


def test_heun_with_fewer_steps_beats_euler() -> None:
    """dz/dt = -3 z + t: ten steps of Heun (20 evaluations) are nearer to the exact end than forty of Euler."""
    start = torch.tensor([[1.0]])
    exact = 2 / 9 + (1 + 1 / 9) * math.exp(-3)
    errors = {
        (solver, steps): abs(float(solved(solver, steps, lambda t, z: -3 * z + t, start)) - exact)
        for solver, steps in (("euler", 10), ("euler", 40), ("euler", 80), ("heun", 10), ("heun", 20))
    }
    assert errors["heun", 10] < errors["euler", 40]
    assert errors["euler", 40] / errors["euler", 80] == pytest.approx(2, rel=0.1)  # first order
    assert errors["heun", 10] / errors["heun", 20] == pytest.approx(4, rel=0.3)  # second


@pytest.mark.parametrize("steps", [1, 4, 61, 115, 980])
def test_a_solver_takes_the_steps_asked_for_there_and_back(steps: int) -> None:
    times: list[float] = []

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.speed = nn.Parameter(torch.ones(()))

        def forward(self, t: Tensor, z: Tensor) -> Tensor:
            times.append(float(t.detach()))
            return self.speed * torch.ones_like(z)

    field, options = Field(), ContinuousOptions(steps=steps, solver="euler")
    end = solve(field, torch.zeros(2, 3), options, odeint_adjoint, adjoint_params=tuple(field.parameters()))
    assert times == pytest.approx([k / steps for k in range(steps)], abs=1e-6)
    torch.testing.assert_close(end, torch.ones(2, 3))
    times.clear()
    end.sum().backward()
    assert len(times) in (steps, steps + 1)  # and, once, the derivative at the end itself
    assert float(field.speed.grad) == pytest.approx(6, rel=1e-4)


def test_the_path_ends_where_the_solution_does() -> None:
    options = ContinuousOptions(steps=20)
    z = torch.randn(3, 2)
    shown = list(path(lambda t, z: t - z, z, options))
    assert [time for time, _ in shown] == pytest.approx([k / 10 for k in range(11)])
    assert torch.equal(shown[0][1], z)
    torch.testing.assert_close(shown[-1][1], solve(lambda t, z: t - z, z, options))


def test_times_are_uniform_each_and_even_together() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([spread_times(8, torch.device("cpu")) for _ in range(4000)])
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    torch.testing.assert_close(drawn.mean(0), torch.full((8,), 0.5), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.var(0), torch.full((8,), 1 / 12), rtol=0.06, atol=0)
    gaps = drawn.sort(dim=1).values.diff(dim=1)
    torch.testing.assert_close(gaps, torch.full_like(gaps, 1 / 8), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["noprop-ct", "adjoint"])
def test_weight_decay_leaves_the_schedule_alone(name: str) -> None:
    method = build(name)
    of_schedule = {id(p) for p in method.gamma.parameters()}
    for group in next(method.optimizers()).param_groups:
        inside = {id(p) in of_schedule for p in group["params"]}
        assert inside == {group["weight_decay"] == 0}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_there_is_no_batch_norm(name: str) -> None:
    for options in ({}, {"embedding": "prototype"}):
        method = build(name, **options)
        assert not [module for module in method.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_prediction_does_not_depend_on_the_other_images(name: str) -> None:
    method = build(name, steps=3)
    method.eval()
    x, _ = batch(4)
    first = method.predict(x, Generator().manual_seed(0))
    x[1:] += 1
    second = method.predict(x, Generator().manual_seed(0))
    torch.testing.assert_close(first[0], second[0])
    assert not torch.equal(first[1:], second[1:])


def test_noprop_ct_and_adjoint_are_one_network() -> None:
    one, other = (
        build("noprop-ct", seed=4, alpha_bar_max=0.99, readout="sample"),
        build("adjoint", seed=4, head_scale=1.0),
    )
    assert one.stack_parameter_count == other.stack_parameter_count
    state = other.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in one.state_dict().items())
    one.eval()
    other.eval()
    x, _ = batch(4)
    predictions = [method.predict(x, Generator().manual_seed(1)) for method in (one, other)]
    assert torch.equal(*predictions)


@pytest.mark.parametrize("time_sampling", ["importance", "uniform"])
def test_the_ct_loss_is_the_equation(time_sampling: str) -> None:
    """Every term recomputed from its definition, with the estimate replaced by a constant one."""
    method = build("noprop-ct", eta=0.7, time_sampling=time_sampling, make_optimizer=plain_sgd)
    method.train()
    x, y = batch(64)
    torch.manual_seed(3)
    if time_sampling == "uniform":
        t, density = spread_times(64, x.device), torch.ones(64)
    else:
        t, density = method.draw_times(64, x.device)
    noise = torch.randn(64, 10)
    state = torch.get_rng_state()
    constant = torch.full((64, 10), 0.1)
    seen: list[Tensor] = []

    def estimate(features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        seen.append(z)
        torch.set_rng_state(state)  # so that what follows draws as below, whatever dropout drew
        return constant

    method.estimate = estimate
    u = torch.eye(10)[y]
    gamma, slope = method.gamma(t)
    alpha_bar = 1 / (1 + gamma.exp())
    expected_z = alpha_bar.sqrt()[:, None] * u + (1 - alpha_bar).sqrt()[:, None] * noise
    snr_slope = -slope * alpha_bar / (1 - alpha_bar)
    distance = 0.9**2 + 9 * 0.1**2
    denoising = 0.5 * 0.7 * (snr_slope * distance / density).mean()
    ends = 1 / (1 + method.gamma(torch.tensor([0.0, 1.0]))[0].exp())
    variance = 1 - ends[0]
    kl = 0.5 * (10 * variance + ends[0] - 10 - 10 * variance.log())
    torch.set_rng_state(state)
    z_1 = ends[1].sqrt() * u + (1 - ends[1]).sqrt() * torch.randn(64, 10)
    expected = denoising + kl + F.cross_entropy(method.head(z_1), y)
    torch.manual_seed(3)
    loss = method.train_step(x, y)
    torch.testing.assert_close(seen[0], expected_z)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-5)


def test_ct_reads_out_its_estimate_or_the_end_itself() -> None:
    x, _ = batch(16)
    ends = {}
    for readout in ("estimate", "sample"):
        method = build("noprop-ct", readout=readout).eval()
        ends[readout] = method.predict(x, Generator().manual_seed(1))
    with torch.no_grad():
        features = method.net.image_path(x)
        z_0 = torch.randn(16, 10, generator=Generator().manual_seed(1))
        z_1 = solve(partial(method.velocity, features), z_0, method.options)
        torch.testing.assert_close(ends["sample"], method.head(z_1))
        torch.testing.assert_close(ends["estimate"], method.head(method.estimate(features, z_1, torch.tensor(1.0))))


def test_times_have_the_density_that_they_are_said_to_have() -> None:
    """The share of times in each tenth is the integral of the density there, computed from its definition."""
    method = build("noprop-ct")
    t, density = method.draw_times(40_000, torch.device("cpu"))
    fine = (torch.arange(10_000) + 0.5) / 10_000
    root = formulas.snr_slope(*method.gamma(fine)).sqrt().detach()
    shares = root.view(10, -1).sum(dim=1) / root.sum()
    torch.testing.assert_close(torch.histc(t, 10, 0, 1) / len(t), shares, rtol=0.01, atol=1e-3)
    at = (t * 10_000).long().clamp(max=9_999)
    torch.testing.assert_close(density, (root / root.mean())[at], rtol=0.02, atol=1e-4)


def test_importance_sampling_keeps_the_expectation_and_divides_the_variance() -> None:
    """Loss and gradient against quadrature over uniform times, both within their errors, at initialisation."""
    x, y = batch(8)
    of_gradient, of_loss = {}, {}
    for time_sampling in ("importance", "uniform"):
        method = build("noprop-ct", time_sampling=time_sampling).eval()
        torch.manual_seed(1)
        draws = [loss_and_gradient(method, x, y) for _ in range(150)]
        of_loss[time_sampling] = torch.stack([loss for loss, _ in draws])
        of_gradient[time_sampling] = torch.stack([gradient for _, gradient in draws])
    grid = (torch.arange(64 * 20) + 0.5) / (64 * 20)  # one image of each of 8 at 160 times
    method.draw_times = lambda count, device: (grid, torch.ones_like(grid))
    repeated = [loss_and_gradient(method, x.repeat(160, 1, 1, 1), y.repeat(160)) for _ in range(8)]
    for found, exact in (
        (of_loss["importance"], torch.stack([loss for loss, _ in repeated])),
        (of_gradient["importance"], torch.stack([gradient for _, gradient in repeated])),
    ):
        error = (found.var(dim=0) / len(found) + exact.var(dim=0) / len(exact)).sum().sqrt()
        assert float((found.mean(dim=0) - exact.mean(dim=0)).norm()) < 3 * float(error)
    for both in (of_loss, of_gradient):
        assert float(both["importance"].var(dim=0).sum()) < 0.25 * float(both["uniform"].var(dim=0).sum())


@torch.no_grad()
def test_after_training_no_density_leaves_much_less_variance_than_importance_sampling() -> None:
    """Of one image's denoising term f(t), by its first two moments at each time, on images that were not trained on.

    A density p leaves E_U[f^2 / p] - E_U[f]^2 of E_U[f^2] - E_U[f]^2. The least is with p proportional to the root of
    E[f^2] at each time.
    """
    method = build("noprop-ct", seed=0)
    x, y, x_test, y_test = real_digits()
    with torch.enable_grad():
        train(method, x, y, epochs=10)
    x, y = x_test[:250], y_test[:250]
    times = (torch.arange(32) + 0.5) / 32
    gamma, slope = method.gamma(times)
    weight = formulas.snr_slope(gamma, slope)
    features, u = method.net.image_path(x), method.embedding(y)
    torch.manual_seed(0)

    def terms(place: int) -> Tensor:
        z = formulas.noised(u, gamma[place].expand(len(u)), torch.randn_like(u))
        estimate = method.estimate(features, z, times[place].expand(len(u)))
        return weight[place] / 2 * (estimate - u).square().sum(dim=1)

    f = torch.stack([torch.cat([terms(place) for _ in range(8)]) for place in range(32)]).double()
    mean, squares = f.mean(), f.square().mean(dim=1)

    def left(density: Tensor) -> float:
        return float(((squares * density.mean() / density).mean() - mean**2) / (squares.mean() - mean**2))

    assert left(torch.ones(32)) == pytest.approx(1.0)
    least = left(squares.sqrt())
    assert 0.15 < least < left(weight.sqrt()) < min(0.5, 1.5 * least)


def loss_and_gradient(method: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient for the network's last layer, flat."""
    loss = method.loss(x, y)
    (gradient,) = torch.autograd.grad(loss, method.net.fusion[-1].weight)
    return loss.detach(), gradient.flatten()


def test_gamma_s_interior_descends_on_the_second_moment_and_its_ends_on_the_loss() -> None:
    """Both gradients against autograd's of the two objectives, written down from their definitions."""
    options = {"time_sampling": "uniform", "eta": 0.7}
    method = build("noprop-ct", seed=1, gamma_interior="variance", **options).eval()
    x, y = batch(32)
    torch.manual_seed(2)
    method.loss(x, y).backward()
    found = {name: parameter.grad.clone() for name, parameter in method.gamma.named_parameters()}

    torch.manual_seed(2)
    u, t = method.embedding(y), spread_times(32, x.device)
    gamma, slope = method.gamma(t)
    z = formulas.noised(u, gamma, torch.randn_like(u))
    first, last = method.gamma(torch.tensor([0.0, 1.0]))[0]
    told = (first.detach() - gamma) / (first.detach() - last.detach())
    estimate = method.net(method.net.image_path(x), z, told).softmax(dim=1) @ method.embedding.weight
    f = 0.7 / 2 * formulas.snr_slope(gamma, slope) * (estimate - u).square().sum(dim=1)
    z_1 = formulas.noised(u, last.expand(32), torch.randn_like(u))
    kl = formulas.kl_to_standard_normal(u, first).mean()
    loss = f.mean() + kl + F.cross_entropy(method.head(z_1), y)
    of_loss, of_square = (
        dict(zip(found, torch.autograd.grad(of, list(method.gamma.parameters()), retain_graph=True), strict=True))
        for of in (loss, f.square().mean())
    )
    for name, gradient in found.items():
        end = name in ("gamma_min", "range")
        torch.testing.assert_close(gradient, (of_loss if end else of_square)[name], rtol=1e-3, atol=1e-6)
        assert not torch.allclose(gradient, (of_square if end else of_loss)[name], rtol=0.05)


def test_a_schedule_trained_on_the_variance_has_less_of_it() -> None:
    """With an estimate that stays as it is, only gamma's interior learns."""
    method = build("noprop-ct", time_sampling="uniform", gamma_interior="variance", alpha_bar_max=0.99).eval()
    method.estimate = lambda features, z, told: torch.full_like(z, 0.1)
    interior = [p for name, p in method.gamma.named_parameters() if name not in ("gamma_min", "range")]
    x, y = batch(64)

    @torch.no_grad()
    def variance() -> float:
        return float(formulas.snr_slope(*method.gamma((torch.arange(10_000) + 0.5) / 10_000)).var())

    before, optimizer = variance(), torch.optim.Adam(interior, lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        method.loss(x, y).backward()
        optimizer.step()
    assert variance() < 0.25 * before


def test_a_network_trained_on_the_variance_is_told_gamma_wherever_it_is_asked() -> None:
    """In inference, the answer at its end and the probes, and by a loaded model, whose ends have moved."""
    options = {"time_sampling": "uniform", "gamma_interior": "variance", "steps": 2, "solver": "euler"}
    method = build("noprop-ct", seed=1, **options)
    start = method.gamma(torch.tensor([0.0, 1.0]))[0].detach()
    with torch.no_grad():
        for parameter in (method.gamma.gamma_min, method.gamma.range, method.gamma.heights):
            parameter.add_(torch.rand_like(parameter))
    loaded = build("noprop-ct", seed=2, **options)
    loaded.load_state_dict(method.state_dict())
    told: list[float] = []
    loaded.net.time_path.register_forward_pre_hook(lambda module, given: told.append(float(given[0])))
    loaded.eval()

    def expected(*times: float) -> list[float]:
        gamma = method.gamma(torch.tensor(times))[0].detach()
        return ((start[0] - gamma) / (start[0] - start[1])).tolist()

    loaded.predict(batch(4)[0], Generator().manual_seed(0))
    assert told == pytest.approx(expected(0.0, 0.5, 1.0), abs=1e-6)
    told.clear()
    loaded.diagnose([batch(4)], Generator().manual_seed(0))
    assert max(min(abs(each - other) for other in told) for each in expected(*(k / 10 for k in range(10)))) < 1e-6


def test_training_the_interior_on_the_variance_needs_uniform_times() -> None:
    with pytest.raises(methods.MethodError, match="gamma_interior"):
        build("noprop-ct", gamma_interior="variance")


def test_ct_cross_entropy_and_kl_do_not_reach_the_network() -> None:
    method = build("noprop-ct", make_optimizer=plain_sgd, embedding="learned")
    method.options = type(method.options).parse({"eta": 1e-30, "embedding": "learned"})
    network, head, embedding = (snapshot(part) for part in (method.net, method.head, method.embedding))
    method.train_step(*batch())
    after = method.net.state_dict()
    assert all(torch.allclose(value, after[key], rtol=0, atol=1e-12) for key, value in network.items())
    assert not same(head, method.head)
    assert not same(embedding, method.embedding)


def test_flow_matching_of_the_exact_field_has_no_loss() -> None:
    torch.manual_seed(0)
    z_0, z_1, t = torch.randn(32, 10), torch.eye(10)[batch(32)[1]], torch.rand(32)
    assert float(matching_loss(z_1 - z_0, z_0, z_1)) == 0
    assert float(matching_loss(z_1 - z_0 + 0.1, z_0, z_1)) == pytest.approx(10 * 0.01, rel=1e-4)
    z = (1 - t)[:, None] * z_0 + t[:, None] * z_1
    torch.testing.assert_close(end_point(z, z_1 - z_0, t), z_1)


def test_flow_matching_trains_on_the_straight_path() -> None:
    method = build("noprop-fm", make_optimizer=plain_sgd)
    x, y = batch(16)
    torch.manual_seed(5)
    z_0 = torch.randn(16, 10)
    t = spread_times(16, x.device)
    seen: dict[str, Tensor] = {}

    def forward(features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        seen.update(z=z, t=t)
        return z * 0 + next(method.net.parameters()).sum() * 0

    method.net.forward = forward
    torch.manual_seed(5)
    loss = method.train_step(x, y)
    u = torch.eye(10)[y]
    torch.testing.assert_close(seen["t"], t)
    torch.testing.assert_close(seen["z"], (1 - t)[:, None] * z_0 + t[:, None] * u)
    torch.testing.assert_close(loss, (u - z_0).square().sum(1).mean())


@pytest.mark.parametrize("embedding", ["onehot", "learned"])
def test_flow_matching_of_an_oracle_ends_at_the_class(embedding: str) -> None:
    """The field (u - z) / (1 - t) of a known label leads any noise to that label's embedding, and its class is read."""
    method = build("noprop-fm", embedding=embedding, steps=20, solver="euler")
    method.eval()
    u = method.embedding.weight[7].detach()
    method.net.forward = lambda features, z, t: (u - z) / (1 - t)
    predicted = method.predict(batch(32)[0], Generator().manual_seed(0)).argmax(dim=1)
    assert predicted.tolist() == [7] * 32


def test_only_a_learned_embedding_needs_the_cross_entropy() -> None:
    assert build("noprop-fm").head is None
    method = build("noprop-fm", embedding="learned", make_optimizer=plain_sgd)
    head = snapshot(method.head)
    method.train_step(*batch())
    assert not same(head, method.head)


@pytest.mark.parametrize("embedding", ["learned", "prototype"])
def test_the_adjoint_gives_the_gradient_of_the_solver(embedding: str) -> None:
    """Against plain backpropagation through the same solver, for every parameter, the image path's too.

    In training mode but for the image path, which the flow does not evaluate: nothing in the flow may be random.
    """
    method = build("adjoint", steps=240, solver="heun", embedding=embedding).double()
    method.net.image_path.convolutions.eval()  # no dropout: both passes must see one network
    x, y = batch(6)
    x, z = x.double(), torch.randn(6, method.embedding.dim, dtype=torch.float64)
    found = []
    for solver in (odeint_adjoint, odeint):
        features = method.net.image_path(x)
        loss = F.cross_entropy(method.head(method.follow(features, z, solver)), y)
        method.zero_grad()
        loss.backward()
        found.append((loss.item(), {key: p.grad.clone() for key, p in method.named_parameters()}))
    (loss, ours), (plain, expected) = found
    assert loss == pytest.approx(plain)
    for key, value in expected.items():
        torch.testing.assert_close(ours[key], value, rtol=0.05, atol=0.05 * float(value.abs().max()), msg=key)


def test_activations_of_the_adjoint_do_not_grow_with_the_steps() -> None:
    from bench.meters.activations import ActivationMeter

    held = []
    for steps in (4, 16):
        method = build("adjoint", steps=steps)
        with ActivationMeter(method.parameters(), method.buffers()) as meter:
            method.train_step(*batch())
        held.append(meter.peak_bytes)
    assert held[1] < 1.05 * held[0]


def test_noprop_ct_reads_the_image() -> None:
    """After training, half-noised labels of the right image are denoised better than those of another image."""
    x, y, x_test, y_test = real_digits()
    method = build("noprop-ct")
    train(method, x, y, epochs=25)
    t = torch.tensor(0.4)
    with torch.no_grad():
        torch.manual_seed(0)
        u = method.embedding(y_test)
        z = formulas.noised(u, method.gamma(t)[0].expand(len(u)), torch.randn_like(u))
        features = method.net.image_path(x_test)
        error = [(method.estimate(f, z, t) - u).square().sum(1).mean() for f in (features, features.roll(1, dims=0))]
    assert float(error[0]) < 0.8 * float(error[1])


def test_steps_that_a_diagnosis_shows() -> None:
    assert shown_steps(10) == list(range(11))
    assert shown_steps(3) == [0, 1, 2, 3]
    assert shown_steps(1000) == list(range(0, 1001, 100))
