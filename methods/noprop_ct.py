"""NoProp in continuous time (arXiv 2503.24322, section 2.3): one network learns to denoise the label at every time.

The limit of infinitely many blocks that share one network, which is told the time. Each image is trained at one random
time, with its label's embedding noised to that time: nothing is unrolled. The noise schedule is learned too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.core.options import Positive, Range
from methods.core.registry import register
from methods.networks.continuous import PAPER, spread_times
from methods.networks.learned_schedule import DenoisingFlow, DenoisingOptions, kl_to_standard_normal, noised, snr_slope


@dataclass(frozen=True)
class NoPropCTOptions(DenoisingOptions):
    """Options of NoProp in continuous time."""

    eta: Positive = 1.0
    """Weight of the denoising loss against the other two terms (table 3: 1)."""


@register("noprop-ct")
class NoPropCT(DenoisingFlow):
    """NoProp in continuous time. See the module's docstring; `NoPropCTOptions` has the options."""

    summary = "NoProp, continuous time: one network, told the time, is trained to denoise the label embedding at any t"
    epoch_definition = "one pass over the training images; each batch trains the one network once, at random times"
    credit = "gradients inside a block"
    Options = NoPropCTOptions
    paper = PAPER
    search_space: ClassVar[Mapping[str, Range]] = {"eta": Range(0.01, 10, log=True), "alpha_bar_max": Range(0.7, 0.99)}
    options: NoPropCTOptions

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """All terms of the continuous-time objective, with t sampled (section 2.3).

        E[-log p(y|z_1)] + KL(q(z_0|y) || N(0, I)) + (1/2) eta E_t[SNR'(t) |u_hat(z_t, x, t) - u|^2], t ~ U(0, 1), one t
        for each image. The first term reaches only the head, W_embed and the schedule; the second the last two.
        """
        u = self.embedding(y)
        t = spread_times(len(y), x.device)
        gamma, slope = self.gamma(t)
        z = noised(u, gamma, torch.randn_like(u))
        error = (self.estimate(self.net.image_path(x), z, t) - u).square().sum(dim=1)
        denoising = 0.5 * self.options.eta * (snr_slope(gamma, slope) * error).mean()

        (first, last), _ = self.gamma(torch.tensor([0.0, 1.0], device=x.device))
        kl = kl_to_standard_normal(u, first).mean()
        z_1 = noised(u, last.expand(len(y)), torch.randn_like(u))
        return denoising + kl + F.cross_entropy(self.head(z_1), y)
