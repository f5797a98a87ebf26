"""NoProp in discrete time (arXiv 2503.24322, section 2): every block learns alone to denoise the label.

Block t sees the image and z_{t-1}, the clean embedding u of the label plus noise of its own level, and learns to give u
back. The noised labels come from the labels themselves, not from the block before, so no block waits for another,
forward or backward, and no gradient crosses from one into another. At inference the blocks run in turn, starting from
pure noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.backbone import PAPER, StackOptions
from methods.diagnostics import Probe
from methods.method import MakeOptimizer, TaskShape
from methods.registry import MethodError, register
from methods.schedule import DiscreteSchedule, cosine_alpha_bar, linear_alpha_bar
from methods.stack import StackMethod
from methods.streams import Streams

Sampler = Literal["ancestral", "mean", "replace"]


@dataclass(frozen=True)
class NoPropOptions(StackOptions):
    """Options of NoProp in discrete time; those of `StackOptions` are shared with every method with the same stack."""

    eta: float = 0.1
    """Weight of the denoising losses against the other two terms (equation 8; 0.1 is table 3's value)."""
    sampler: Sampler = "ancestral"
    """ancestral: z_t = a u_hat + b z + sqrt(c) noise, the paper's; mean: the same without noise; replace: z_t = u_hat,
    which discards what the earlier blocks found and is here for comparison only."""
    classifier_input: Literal["sample", "output"] = "sample"
    """What the cross-entropy term classifies. sample: z_T ~ q(z_T|y), as equation 8 has it, so that the term reaches
    only the head and W_embed; output: the last block's own estimate, so that it reaches that block too. In
    `noprop-attached` z_T is where its sampled chain ends, and either way the term reaches every block."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How alpha_bar goes from one end to the other (the paper's: cosine)."""
    alpha_bar_min: float = 0.001
    """alpha_bar_0. Not in the paper."""
    alpha_bar_max: float = 0.999
    """alpha_bar_T. Not in the paper. It sets the scale of the loss: the weights sum to SNR(T) - SNR(0)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.eta < math.inf, "eta", "a finite number above 0")
        self.require(0 < self.alpha_bar_min < 1, "alpha_bar_min", "between 0 and 1")
        self.require(self.alpha_bar_min < self.alpha_bar_max < 1, "alpha_bar_max", "above alpha_bar_min and below 1")


@register("noprop", aliases=("noprop-dt",))
class NoPropDT(StackMethod):
    """NoProp in discrete time. See the module's docstring; `NoPropOptions` says what can be chosen."""

    summary = "NoProp, discrete time: each of T blocks is trained alone to denoise the label embedding"
    epoch_definition = (
        "one pass over the training images; each batch trains all T blocks once, each on its own loss and its own noise"
    )
    Options = NoPropOptions
    paper = PAPER
    attached: ClassVar[bool] = False
    """False: NoProp. True (`noprop-attached`): the same model and losses along the sampled chain, with gradients let
    through from block to block."""

    options: NoPropOptions

    def __init__(self, shape: TaskShape, options: NoPropOptions) -> None:
        super().__init__(shape, options)
        curve = cosine_alpha_bar if options.schedule == "cosine" else linear_alpha_bar
        self.schedule = DiscreteSchedule.from_alpha_bar(curve(options.T, options.alpha_bar_min, options.alpha_bar_max))
        self._trained_here = range(1, options.T + 1)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser a block, and one for what blocks share: the head and a learned W_embed."""
        self._block_optimizers = [make_optimizer(block.parameters()) for block in self.net.blocks]
        shared = [*self.net.embedding.parameters(), *self.net.head.parameters()]
        self._shared_optimizer = make_optimizer(shared)
        self._streams = Streams()

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """All blocks once, then the shared parameters once, from the gradients of every term of equation 8."""
        if self.attached:
            return self._train_attached(x, y)
        self._streams.next_step()
        total = torch.zeros((), device=x.device)
        for t in self._trained_here:
            self._streams.enter(t)
            total += self.train_block(t, x, y)
        self._streams.enter(0)
        shared = self.train_shared(y)
        return total + shared if 1 in self._trained_here else total  # of several processes, one counts it

    def divide(self, ranks: int, rank: int) -> list[Sequence[nn.Module]] | None:
        """Blocks in turn: process r has blocks r + 1, r + 1 + ranks, ...; every one trains the head from the labels.

        Raises:
            MethodError: gradients of several blocks would meet in a learned embedding, the last block's would reach the
                head, or there are fewer blocks than processes.
        """
        if self.attached:
            return None
        what = "blocks are trained apart only with"
        if self.options.embedding != "onehot":
            raise MethodError(
                f"option embedding={self.options.embedding!r} is not accepted: {what} embedding=onehot, since all "
                "blocks' gradients meet in a learned one"
            )
        if self.options.classifier_input != "sample":
            raise MethodError(
                f"option classifier_input={self.options.classifier_input!r} is not accepted: {what} "
                "classifier_input=sample, since the last block else trains the classifier"
            )
        if ranks > self.options.T:
            raise MethodError(f"T={self.options.T} blocks are too few for {ranks} processes: each needs at least one")
        shares = [range(1 + r, self.options.T + 1, ranks) for r in range(ranks)]
        self._trained_here = shares[rank]
        return [[self.net.blocks[t - 1] for t in share] for share in shares]

    def train_block(self, t: int, x: Tensor, y: Tensor) -> Tensor:
        """Block t alone, t = 1..T: one update of its own parameters from its own loss.

        What the loss asks of the shared parameters is left in their gradients for `train_shared`. Nothing of any other
        block is read or changed.

        Returns:
            The loss, detached, a scalar.
        """
        u = self.net.embedding(y)
        # Block t gets z_{t-1} (equation 8), which is what inference feeds it. Algorithm 1 of the paper samples z_t.
        z = self.schedule.sample(t - 1, u)
        estimate = self.net.estimate(t, x, z)
        loss = self._denoising_loss(t, estimate, u)
        if t == self.options.T and self.options.classifier_input == "output":
            loss = loss + F.cross_entropy(self.net.head(estimate), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._block_optimizers[t - 1].step()
        self._block_optimizers[t - 1].zero_grad()
        return loss.detach()

    def train_shared(self, y: Tensor) -> Tensor:
        """One update of the head and W_embed: the terms of equation 8 that belong to no block, and what blocks left.

        Returns:
            E[-log p(y|z_T)] (where that is not part of the last block's loss) + KL(q(z_0|y) || N(0, I)), detached.
        """
        u = self.net.embedding(y)
        loss = self.schedule.kl_to_standard_normal(u).mean()
        if self.options.classifier_input == "sample":
            loss = loss + F.cross_entropy(self.net.head(self.schedule.sample(self.options.T, u)), y)
        if loss.requires_grad:  # a fixed embedding and a head that the last block trains leave nothing to do here
            loss.backward()  # type: ignore[no-untyped-call]
        self._shared_optimizer.step()
        self._shared_optimizer.zero_grad()
        return loss.detach()

    def _denoising_loss(self, t: int, estimate: Tensor, u: Tensor) -> Tensor:
        """(T / 2) eta (SNR(t) - SNR(t-1)) |u_hat_t - u|^2, mean over the batch (equation 8, with t iterated)."""
        scale = 0.5 * self.options.T * self.options.eta * self.schedule.weight[t - 1]
        return scale * (estimate - u).square().sum(dim=1).mean()

    def _train_attached(self, x: Tensor, y: Tensor) -> Tensor:
        """The losses summed along the chain that inference samples, and one backward pass through all of it.

        The denoising losses and the KL term are the same; the cross-entropy is of the chain's own z_T.
        """
        u = self.net.embedding(y)
        z = torch.randn_like(u)
        loss = self.schedule.kl_to_standard_normal(u).mean()
        for t in range(1, self.options.T + 1):
            estimate = self.net.estimate(t, x, z)
            loss = loss + self._denoising_loss(t, estimate, u)
            z = self._next(t, z, estimate, generator=None)
        classified = estimate if self.options.classifier_input == "output" else z
        loss = loss + F.cross_entropy(self.net.head(classified), y)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()

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

    def optimizers(self) -> Iterator[Optimizer]:
        """Those of the blocks, then the shared one."""
        yield from self._block_optimizers
        yield self._shared_optimizer
