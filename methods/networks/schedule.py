"""The noise schedule of NoProp in discrete time: pure functions, float64, with the paper's equations.

Time runs in the opposite direction of most diffusion papers: z_0 is noise and z_T is nearly the clean label embedding,
so alpha_bar_t *increases* with t (arXiv 2503.24322, section 2 and appendix A). Every array here is indexed by t.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from methods.networks.rng import current


def cosine_alpha_bar(T: int, alpha_bar_min: float, alpha_bar_max: float) -> Tensor:
    """alpha_bar_t for t = 0..T on a cosine curve, cut off at the two given values.

    The curve is that of Nichol and Dhariwal (arXiv 2102.09672), run backwards: alpha_bar = sin^2(angle), with T equal
    steps of the angle between the two values. Clamping the ends instead would give neighbouring steps the same
    alpha_bar, and so a weight of zero, at large T. The paper names the cosine schedule but gives no formula or ends.
    The result is float64, (T + 1,), strictly increasing, inside (0, 1).
    """
    first, last = (math.asin(math.sqrt(end)) for end in (alpha_bar_min, alpha_bar_max))
    return torch.linspace(first, last, T + 1, dtype=torch.float64).sin().square()


def linear_alpha_bar(T: int, alpha_bar_min: float, alpha_bar_max: float) -> Tensor:
    """The same in T equal steps from one end to the other; the paper gives no formula for "linear"."""
    return torch.linspace(alpha_bar_min, alpha_bar_max, T + 1, dtype=torch.float64)


def snr(alpha_bar: Tensor) -> Tensor:
    """Signal-to-noise ratio of q(z_t|y): alpha_bar_t / (1 - alpha_bar_t) (section 2.2). Same shape as given."""
    return alpha_bar / (1 - alpha_bar)


@dataclass(frozen=True)
class DiscreteSchedule:
    """The coefficients for t = 1..T (index 0 of `weight`, `a`, `b`, `c` is t = 1), as floats: no device has to wait."""

    alpha_bar: tuple[float, ...]
    """alpha_bar_t for t = 0..T."""
    weight: tuple[float, ...]
    """SNR(t) - SNR(t - 1) > 0, the weight of block t's loss (equation 8)."""
    a: tuple[float, ...]
    """Coefficient of the estimate in z_t given z_{t-1} (section 2.1): the posterior's weight on u."""
    b: tuple[float, ...]
    """Coefficient of z_{t-1}."""
    c: tuple[float, ...]
    """Variance of the noise added in step t."""

    @classmethod
    def from_alpha_bar(cls, alpha_bar: Tensor) -> Self:
        """Derive every coefficient from alpha_bar, (T + 1,), which must increase strictly inside (0, 1).

        With alpha_{t-1} = alpha_bar_{t-1} / alpha_bar_t (appendix A):

            a_t = sqrt(alpha_bar_t) (1 - alpha_{t-1}) / (1 - alpha_bar_{t-1})
            b_t = sqrt(alpha_{t-1}) (1 - alpha_bar_t) / (1 - alpha_bar_{t-1})
            c_t = (1 - alpha_bar_t) (1 - alpha_{t-1}) / (1 - alpha_bar_{t-1})

        Raises:
            ValueError: alpha_bar does not increase strictly, or leaves (0, 1).
        """
        alpha_bar = alpha_bar.double()
        before, after = alpha_bar[:-1], alpha_bar[1:]
        if not bool((after > before).all()) or not float(alpha_bar[0]) > 0 or not float(alpha_bar[-1]) < 1:
            raise ValueError("alpha_bar must increase strictly with t inside (0, 1): z_0 is noise and z_T nearly clean")
        alpha = before / after
        return cls(
            alpha_bar=tuple(alpha_bar.tolist()),
            weight=tuple((snr(after) - snr(before)).tolist()),
            a=tuple((after.sqrt() * (1 - alpha) / (1 - before)).tolist()),
            b=tuple((alpha.sqrt() * (1 - after) / (1 - before)).tolist()),
            c=tuple(((1 - after) * (1 - alpha) / (1 - before)).tolist()),
        )

    def sample(self, t: int, u: Tensor, generator: Generator | None = None) -> Tensor:
        """z_t ~ q(z_t|y) = N(sqrt(alpha_bar_t) u, (1 - alpha_bar_t) I), t = 0..T (section 2.1).

        Clean embeddings u, (batch, embedding_dim), get a gradient through the mean. No generator: the current one.
        """
        noise = torch.randn(u.shape, device=u.device, generator=generator or current())
        return math.sqrt(self.alpha_bar[t]) * u + math.sqrt(1 - self.alpha_bar[t]) * noise

    def step(self, t: int, z: Tensor, estimate: Tensor, noise: Tensor | None) -> Tensor:
        """z_t = a_t estimate + b_t z_{t-1} + sqrt(c_t) noise, t = 1..T (section 2.1); all (batch, embedding_dim)."""
        mean = self.a[t - 1] * estimate + self.b[t - 1] * z
        return mean if noise is None else mean + math.sqrt(self.c[t - 1]) * noise

    def kl_to_standard_normal(self, u: Tensor) -> Tensor:
        """KL(q(z_0|y) || N(0, I)) of each row (equation 8), (batch,).

        For N(m, v I) in d dimensions: (d v + |m|^2 - d - d log v) / 2; m = sqrt(alpha_bar_0) u, v = 1 - alpha_bar_0.
        """
        d, variance = u.shape[-1], 1 - self.alpha_bar[0]
        return 0.5 * (d * (variance - 1 - math.log(variance)) + self.alpha_bar[0] * u.square().sum(-1))
