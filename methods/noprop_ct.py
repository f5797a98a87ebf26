"""NoProp in continuous time (arXiv 2503.24322, section 2.3): one network learns to denoise the label at every time.

The limit of infinitely many blocks that share one network, which is told the time. Each image is trained at one random
time, with its label's embedding noised to that time: nothing is unrolled. The noise schedule is learned too.

The denoising loss is an expectation over t ~ U(0, 1), E_U[f(t)] with f(t) = (eta / 2) SNR'(t) |u_hat(z_t, x, t) - u|^2,
and SNR' spans five decades. Times are therefore drawn from another density p > 0 on [0, 1], and the loss is divided by
it, which leaves the expectation as it is:

    E_p[f(t) / p(t)] = integral of (f(t) / p(t)) p(t) dt = integral of f(t) dt = E_U[f(t)].

The gradient's too: p is computed from the current schedule but taken as a constant, as is the t drawn from it, so the
gradient of f(t) / p(t) is (grad f)(t) / p(t), and the same line holds with grad f in place of f. The variance of the
estimate is least where p is proportional to the root of E[f(t)^2] (Kahn and Marshall 1953). The error's course is not
known beforehand; it falls as SNR' rises, since z_t then gives the label away. p proportional to the root of SNR'(t) is
its optimum if |u_hat - u|^4 falls as 1 / SNR'(t).

The other way to the same end is to let the schedule spread the times (Kingma and others, arXiv 2107.00630, section 5.1
and appendix I.2). The expectation of the loss does not depend on gamma between its ends, if the network is told gamma_t
in place of t; only the variance does. So gamma's interior descends on E[f(t)^2] instead of E[f(t)]: with t uniform, its
gradient is the mean of 2 f(t) grad f(t), the loss's own gradient with each image weighted by twice its term.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.method import TaskShape
from methods.core.options import INFERENCE_ONLY, Positive, Range
from methods.core.registry import register
from methods.networks.continuous import PAPER, spread_times
from methods.networks.learned_schedule import DenoisingFlow, DenoisingOptions, kl_to_standard_normal, noised, snr_slope

INTERVALS = 256
"""In each of them, the density of times is constant."""


@dataclass(frozen=True)
class NoPropCTOptions(DenoisingOptions):
    """Options of NoProp in continuous time."""

    eta: Positive = 1.0
    """Weight of the denoising loss against the other two terms (table 3: 1)."""
    alpha_bar_max: float = 0.8
    """As in `DenoisingOptions`, for a loss in which times that do not give the label away weigh more. Noise that is
    left at t = 1 does no harm with readout=estimate."""
    readout: Annotated[Literal["estimate", "sample"], INFERENCE_ONLY] = "estimate"
    """What is classified at the end of inference. estimate: u_hat(z_1, x, 1), the mean of u given z_1, in which the
    noise of variance 1 - alpha_bar_1 that z_1 still has is removed; sample: z_1 itself, as in the paper."""
    time_sampling: Literal["importance", "uniform"] = "importance"
    """How times are drawn. importance: with density proportional to the root of SNR'(t), each loss divided by its
    density, so the objective is the same and its gradient varies less; uniform: t ~ U(0, 1), as in the paper."""
    gamma_interior: Literal["loss", "variance"] = "loss"
    """What gamma between its two ends is trained on. loss: on all of the loss, as the ends are; variance: on the
    variance of the denoising loss, and the network is told gamma_t, not t. It needs time_sampling=uniform: it makes
    gamma itself spread the times. Its gradients have another scale, and clipping goes by the norm of all together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.gamma_interior == "loss" or self.time_sampling == "uniform",
            "gamma_interior",
            "loss, unless time_sampling=uniform",
        )


@register("noprop-ct")
class NoPropCT(DenoisingFlow):
    """NoProp in continuous time. See the module's docstring; `NoPropCTOptions` has the options."""

    summary = "NoProp, continuous time: one network, told the time, is trained to denoise the label embedding at any t"
    epoch_definition = "one pass over the training images; each batch trains the one network once, at random times"
    credit = "gradients inside a block"
    Options = NoPropCTOptions
    paper = replace(
        PAPER, options={**PAPER.options, "time_sampling": "uniform", "readout": "sample", "alpha_bar_max": 0.99}
    )
    # Not eta: with a fixed embedding it scales all of the network's loss, which Adam's steps do not depend on.
    search_space: ClassVar[Mapping[str, Range]] = {"alpha_bar_max": Range(0.7, 0.99)}
    options: NoPropCTOptions

    def __init__(self, shape: TaskShape, options: NoPropCTOptions) -> None:
        super().__init__(shape, options)
        self._gamma_at_start = tuple(self.gamma(torch.tensor([0.0, 1.0]))[0].tolist())

    def told(self, t: Tensor, gamma: Tensor) -> Tensor:
        """The time, or how far gamma has come on the way between its ends at the start of training."""
        if self.options.gamma_interior == "loss":
            return t
        first, last = self._gamma_at_start
        return (first - gamma) / (first - last)

    def _classify(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Of the estimate, or of z_t."""
        if self.options.readout == "sample":
            return self.head(z)
        return self.head(self.estimate(features, z, self.told(t, self.gamma(t)[0])))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """All terms of the continuous-time objective, with t sampled (section 2.3).

        E[-log p(y|z_1)] + KL(q(z_0|y) || N(0, I)) + (1/2) eta E_t[SNR'(t) |u_hat(z_t, x, t) - u|^2], t ~ U(0, 1), one t
        for each image (see the module's docstring for how it is drawn). The first term reaches only the head, W_embed
        and the schedule; the second the last two.
        """
        u = self.embedding(y)
        t, density = self.draw_times(len(y), x.device)
        variance_weights: list[Tensor] = []  # a list, since the hook is needed before they are known
        hook = (lambda gradient: variance_weights[0] * gradient) if self.options.gamma_interior == "variance" else None
        gamma, slope = self.gamma(t, hook)
        z = noised(u, gamma, torch.randn_like(u))
        error = (self.estimate(self.net.image_path(x), z, self.told(t, gamma)) - u).square().sum(dim=1)
        terms = snr_slope(gamma, slope) / density * error
        variance_weights.append(self.options.eta * terms.detach())  # 2 f(t), with f(t) = eta / 2 terms
        denoising = 0.5 * self.options.eta * terms.mean()

        (first, last), _ = self.gamma(torch.tensor([0.0, 1.0], device=x.device))
        kl = kl_to_standard_normal(u, first).mean()
        z_1 = noised(u, last.expand(len(y)), torch.randn_like(u))
        return denoising + kl + F.cross_entropy(self.head(z_1), y)

    @torch.no_grad()
    def draw_times(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Times for one batch, evenly spread, and the density of each, both (count,) and constants of the gradient.

        The density is constant within each of `INTERVALS` equal intervals, so that it is exact.
        """
        uniform = spread_times(count, device)
        if self.options.time_sampling == "uniform":
            return uniform, torch.ones_like(uniform)
        middles = (torch.arange(INTERVALS, device=device) + 0.5) / INTERVALS
        weights = snr_slope(*self.gamma(middles)).sqrt()
        shares = weights / weights.sum()
        ends = shares.cumsum(dim=0)
        number = torch.searchsorted(ends, uniform).clamp(max=INTERVALS - 1)
        inside = 1 - (ends[number] - uniform) / shares[number]
        return (number + inside.clamp(0, 1)) / INTERVALS, shares[number] * INTERVALS
