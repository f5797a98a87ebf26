"""The learned noise schedule of NoProp in continuous time, and the base of the methods that use it.

alpha_bar_t = sigmoid(-gamma(t)) (arXiv 2503.24322, section 2.3). gamma decreases from gamma_max at t = 0 (noise) to
gamma_min at t = 1 (nearly clean) by construction, so SNR(t) = exp(-gamma(t)) increases and every weight of the loss is
positive, whatever the parameters are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from methods.core.method import TaskShape
from methods.core.options import BetweenZeroAndOne
from methods.networks.continuous import ContinuousNet, ContinuousOptions, FlowMethod
from methods.networks.embedding import EmbeddingClassifier
from methods.networks.inference import Probe

UNITS = 32
"""Sigmoid units of the monotone network. Not in the paper."""
_FLAT = -6.0
"""The units' initial heights, before softplus: gamma starts nearly linear in t."""


class LearnedSchedule(nn.Module):
    """gamma(t) = gamma_max - (gamma_max - gamma_min) g(t), with g increasing from 0 to 1.

    g is a line plus sigmoids with positive slopes and heights, shifted and scaled to go from 0 to 1: a monotone network
    after Kingma and others (arXiv 2107.00630, appendix H). The two ends are learned too, and keep their order.
    """

    def __init__(self, alpha_bar_min: float, alpha_bar_max: float) -> None:
        """Start from alpha_bar at t = 0 and t = 1, 0 < alpha_bar_min < alpha_bar_max < 1."""
        super().__init__()
        low, high = (-math.log(end / (1 - end)) for end in (alpha_bar_max, alpha_bar_min))
        self.gamma_min = nn.Parameter(torch.tensor(low))
        self.range = nn.Parameter(_inverse_softplus(torch.tensor(high - low)))
        self.line = nn.Parameter(_inverse_softplus(torch.tensor(1.0)))
        self.heights = nn.Parameter(torch.full((UNITS,), _FLAT))
        self.slopes = nn.Parameter(_inverse_softplus(torch.full((UNITS,), 10.0)))
        self.centres = nn.Parameter(torch.linspace(0.0, 1.0, UNITS))

    def forward(self, t: Tensor, interior_hook: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """gamma(t) and its derivative gamma'(t) < 0, both of t's shape; t in [0, 1].

        Args:
            t: Times.
            interior_hook: Gets the gradient for what the interior gives at each time, (4, *t.shape): the unscaled g(t),
                g'(t), g(0) and g(1). Returns what to put in its place. `gamma_min` and `range` are not behind it.
        """
        ends = torch.tensor([0.0, 1.0], dtype=t.dtype, device=t.device)
        (first, last), _ = self._monotone(ends)
        value, slope = self._monotone(t)
        if interior_hook is not None:
            interior = torch.stack([value, slope, first.expand_as(t), last.expand_as(t)])
            if interior.requires_grad:
                interior.register_hook(interior_hook)  # type: ignore[no-untyped-call]
            value, slope, first, last = interior
        span = F.softplus(self.range)
        scale = span / (last - first)
        return self.gamma_min + span - scale * (value - first), -scale * slope

    def _monotone(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """An increasing function of t and its derivative."""
        line, heights, slopes = F.softplus(self.line), F.softplus(self.heights), F.softplus(self.slopes)
        units = (slopes * (t.unsqueeze(-1) - self.centres)).sigmoid()  # (..., UNITS)
        value = line * t + (heights * units).sum(dim=-1)
        slope = line + (heights * slopes * units * (1 - units)).sum(dim=-1)
        return value, slope


def alpha_bar(gamma: Tensor) -> Tensor:
    """alpha_bar = sigmoid(-gamma), same shape."""
    return (-gamma).sigmoid()


def snr_slope(gamma: Tensor, gamma_slope: Tensor) -> Tensor:
    """SNR'(t) = -gamma'(t) exp(-gamma(t)) > 0, since SNR = alpha_bar / (1 - alpha_bar) = exp(-gamma)."""
    return -gamma_slope * (-gamma).exp()


def noised(u: Tensor, gamma: Tensor, noise: Tensor) -> Tensor:
    """z_t = sqrt(alpha_bar_t) u + sqrt(1 - alpha_bar_t) noise; u, noise (batch, embedding_dim), gamma (batch,)."""
    gamma = gamma.unsqueeze(-1)
    return (-gamma).sigmoid().sqrt() * u + gamma.sigmoid().sqrt() * noise


def probability_flow(z: Tensor, estimate: Tensor, gamma: Tensor, gamma_slope: Tensor) -> Tensor:
    """dz/dt of the deterministic path with the marginals of z_t, given the estimate u_hat of u.

    Along z_t = sqrt(alpha_bar) u + sqrt(1 - alpha_bar) noise with fixed noise (the probability flow of Song and others,
    arXiv 2011.13456) and alpha_bar' = -gamma' alpha_bar (1 - alpha_bar):

        dz/dt = -gamma'(t) / 2 (sqrt(alpha_bar_t) u_hat - alpha_bar_t z)

    z and the estimate are (batch, embedding_dim); gamma and gamma_slope = gamma'(t) are scalars.
    """
    signal = alpha_bar(gamma)
    return -0.5 * gamma_slope * (signal.sqrt() * estimate - signal * z)


def kl_to_standard_normal(u: Tensor, gamma: Tensor) -> Tensor:
    """KL(q(z_0|y) || N(0, I)) of each row, (batch,): mean sqrt(alpha_bar_0) u, variance 1 - alpha_bar_0."""
    signal, variance = (-gamma).sigmoid(), gamma.sigmoid()
    d = u.shape[-1]
    return 0.5 * (d * (variance - 1 - F.logsigmoid(gamma)) + signal * u.square().sum(-1))


def _inverse_softplus(value: Tensor) -> Tensor:
    """The number whose softplus is `value`, above 0."""
    return value + torch.log(-torch.expm1(-value))


@dataclass(frozen=True)
class DenoisingOptions(ContinuousOptions):
    """Options of a method whose network estimates the clean embedding, and whose noise schedule is learned."""

    alpha_bar_min: BetweenZeroAndOne = 0.001
    """alpha_bar at t = 0 when training starts; learned from there. Not in the paper."""
    alpha_bar_max: float = 0.99
    """alpha_bar at t = 1 when training starts; learned from there. Not in the paper. At 0.99 the remaining noise is a
    seventh of half the distance between two one-hot embeddings, so the classifier can read z_1. Closer to 1, more of
    the loss's weight (SNR(1) in all) goes to times at which z_t gives the label away, and less to reading the image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.alpha_bar_min < self.alpha_bar_max < 1, "alpha_bar_max", "above alpha_bar_min and below 1")


class DenoisingFlow(FlowMethod):
    """Base of `noprop-ct` and `adjoint`: a subclass says how the network is trained."""

    head: EmbeddingClassifier

    def __init__(self, shape: TaskShape, options: DenoisingOptions) -> None:
        super().__init__(shape, options)
        self.net = ContinuousNet(shape, self.embedding, outputs=shape.num_classes, features=options.features)
        self.gamma = LearnedSchedule(options.alpha_bar_min, options.alpha_bar_max)
        self.head = EmbeddingClassifier(self.embedding)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The schedule in a group of its own, without weight decay.

        Some of its parameters get gradients so small that an L2 penalty would decide its shape.
        """
        schedule = list(self.gamma.parameters())
        apart = {id(p) for p in schedule}
        others = [p for p in self.parameters() if id(p) not in apart]
        return [{"params": others}, {"params": schedule, "weight_decay": 0.0}]

    def estimate(self, features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """u_hat(z_t, x, t) = p @ W_embed, (batch, embedding_dim), as in the discrete-time block."""
        probabilities = self.net(features, z, t).softmax(dim=1)
        with torch.autocast(z.device.type, enabled=False):  # near 1, bfloat16 has two digits
            estimate: Tensor = probabilities.to(z.dtype) @ self.embedding.weight
        return estimate

    def told(self, t: Tensor, gamma: Tensor) -> Tensor:
        """What the network is told of the time t, at which the schedule has gamma; both of one shape."""
        return t

    def velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """That of the probability flow for the network's estimate."""
        gamma, slope = self.gamma(t)
        return probability_flow(z, self.estimate(features, z, self.told(t, gamma)), gamma, slope)

    def _probe(self, time: float) -> Probe:
        t = torch.tensor(time, device=self.embedding.weight.device)
        gamma, slope = self.gamma(t)

        def noised_to_t(u: Tensor, generator: Generator) -> Tensor:
            return noised(u, gamma, torch.randn(u.shape, device=u.device, generator=generator))

        return Probe(
            time=time,
            snr_weight=float(snr_slope(gamma, slope)) if self.trained_on_own_task else None,
            noised=noised_to_t,
            estimate=lambda features, z: self.estimate(features[0], z, self.told(t, gamma)),
        )
