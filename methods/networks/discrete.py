"""The stack of blocks as a denoiser of labels in discrete time: schedule, losses, inference (arXiv 2503.24322, sec. 2).

Shared by `noprop` and its control `noprop-attached`, which train the blocks in different ways.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from methods.core.method import TaskShape
from methods.core.options import BetweenZeroAndOne, Positive, Range
from methods.networks.backbone import PAPER
from methods.networks.block_stack import StackMethod, StackOptions
from methods.networks.inference import Probe
from methods.networks.schedule import DiscreteSchedule, cosine_alpha_bar, linear_alpha_bar

Sampler = Literal["ancestral", "mean", "replace"]


@dataclass(frozen=True)
class NoPropOptions(StackOptions):
    """Options of denoising in discrete time; `StackOptions` has those of all methods on the same stack."""

    eta: Positive = 0.1
    """Weight of the denoising losses against the other two terms (equation 8; 0.1 is table 3's value)."""
    sampler: Sampler = "ancestral"
    """ancestral: z_t = a u_hat + b z + sqrt(c) noise, as in the paper; mean: the same without noise; replace: z_t =
    u_hat, which discards what the earlier blocks found (for comparison only)."""
    classifier_input: Literal["sample", "output"] = "sample"
    """What the cross-entropy term classifies. sample: z_T ~ q(z_T|y), as in equation 8, so the term reaches only the
    head and W_embed; output: the last block's own estimate, so it reaches that block too. In `noprop-attached` z_T is
    the end of its sampled chain, and either way the term reaches every block."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How alpha_bar goes from one end to the other (the paper's: cosine)."""
    alpha_bar_min: BetweenZeroAndOne = 0.001
    """alpha_bar_0. Not in the paper."""
    alpha_bar_max: float = 0.999
    """alpha_bar_T. Not in the paper. It sets the scale of the loss: the weights sum to SNR(T) - SNR(0)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.alpha_bar_min < self.alpha_bar_max < 1, "alpha_bar_max", "above alpha_bar_min and below 1")


class DenoisingStack(StackMethod):
    """Base of the two."""

    paper = PAPER
    search_space: ClassVar[Mapping[str, Range]] = {"eta": Range(0.01, 10, log=True), "alpha_bar_max": Range(0.8, 0.999)}
    options: NoPropOptions

    def __init__(self, shape: TaskShape, options: NoPropOptions) -> None:
        super().__init__(shape, options)
        curve = cosine_alpha_bar if options.schedule == "cosine" else linear_alpha_bar
        self.schedule = DiscreteSchedule.from_alpha_bar(curve(options.T, options.alpha_bar_min, options.alpha_bar_max))

    def denoising_loss(self, t: int, estimate: Tensor, u: Tensor) -> Tensor:
        """(T / 2) eta (SNR(t) - SNR(t-1)) |u_hat_t - u|^2, mean over the batch (equation 8, with t iterated)."""
        scale = 0.5 * self.options.T * self.options.eta * self.schedule.weight[t - 1]
        return scale * (estimate - u).square().sum(dim=1).mean()

    def _probes(self) -> list[Probe]:
        """Each block at its own noise level."""
        return [
            Probe(
                time=(t - 1) / self.options.T,
                snr_weight=self.schedule.weight[t - 1],
                noised=partial(self.schedule.sample, t - 1),
                estimate=partial(self.net.denoise, t),
            )
            for t in range(1, self.options.T + 1)
        ]

    def _next(self, t: int, z: Tensor, estimate: Tensor, generator: Generator | None) -> Tensor:
        """By the chosen sampler."""
        if self.options.sampler == "replace":
            return estimate
        noise = None
        if self.options.sampler == "ancestral":
            noise = torch.randn(z.shape, device=z.device, generator=generator)
        return self.schedule.step(t, z, estimate, noise)
