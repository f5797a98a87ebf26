"""Shared by `noprop-ct` and `adjoint`: a network that estimates the clean embedding, and a learned noise schedule."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from methods.core.method import TaskShape
from methods.core.options import BetweenZeroAndOne
from methods.networks import learned_schedule
from methods.networks.continuous import ContinuousNet, ContinuousOptions, FlowMethod
from methods.networks.embedding import EmbeddingClassifier
from methods.networks.inference import Probe


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
    """Base of the two: a subclass says how the network is trained."""

    head: EmbeddingClassifier

    def __init__(self, shape: TaskShape, options: DenoisingOptions) -> None:
        super().__init__(shape, options)
        self.net = ContinuousNet(shape, self.embedding, outputs=shape.num_classes)
        self.gamma = learned_schedule.LearnedSchedule(options.alpha_bar_min, options.alpha_bar_max)
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

    def velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """That of the probability flow for the network's estimate."""
        gamma, slope = self.gamma(t)
        return learned_schedule.probability_flow(z, self.estimate(features, z, t), gamma, slope)

    def _probe(self, time: float) -> Probe:
        t = torch.tensor(time, device=self.embedding.weight.device)
        gamma, slope = self.gamma(t)

        def noised(u: Tensor, generator: Generator) -> Tensor:
            noise = torch.randn(u.shape, device=u.device, generator=generator)
            return learned_schedule.noised(u, gamma, noise)

        return Probe(
            time=time,
            snr_weight=float(learned_schedule.snr_slope(gamma, slope)) if self.trained_on_own_task else None,
            noised=noised,
            estimate=lambda features, z: self.estimate(features[0], z, t),
        )
