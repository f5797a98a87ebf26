"""NoProp in continuous time (arXiv 2503.24322, section 2.3): one network learns to denoise the label at every time.

The limit of infinitely many blocks, which share one network that is told the time. Each image is given its label's
embedding noised to a random time, alone: nothing is unrolled in training. The noise schedule is learned with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods import gamma as noise_schedule
from methods.averaging import average_predictions
from methods.continuous import LOOKED_AT, ContinuousNet, ContinuousOptions, path, solve, spread_times, start
from methods.diagnostics import Batches, Diagnosis, Probe, diagnose
from methods.embedding import ClassEmbedding, EmbeddingClassifier
from methods.gamma import GammaSchedule
from methods.method import MakeOptimizer, Method, PaperSettings, TaskShape
from methods.prototypes import TrainingImages
from methods.registry import register


@dataclass(frozen=True)
class DenoisingOptions(ContinuousOptions):
    """Options of a method whose network gives the clean embedding, and whose noise schedule is learned."""

    alpha_bar_min: float = 0.001
    """alpha_bar at t = 0 when training starts; it is learned from there. Not in the paper."""
    alpha_bar_max: float = 0.99
    """alpha_bar at t = 1 when training starts; it is learned from there. Not in the paper. At 0.99 the noise left is a
    seventh of half the distance between two one-hot embeddings, so the classifier can read z_1. Nearer to 1, more of
    the loss's weight (in all SNR(1)) goes to times at which z_t gives the label away, and less to reading the image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.alpha_bar_min < 1, "alpha_bar_min", "between 0 and 1")
        self.require(self.alpha_bar_min < self.alpha_bar_max < 1, "alpha_bar_max", "above alpha_bar_min and below 1")


@dataclass(frozen=True)
class NoPropCTOptions(DenoisingOptions):
    """Options of NoProp in continuous time."""

    eta: float = 1.0
    """Weight of the denoising loss against the other two terms (table 3: 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.eta < math.inf, "eta", "a finite number above 0")


class Denoiser(nn.Module):
    """Network, class embedding, schedule and classifier: all that inference needs, however it was trained."""

    def __init__(self, shape: TaskShape, options: DenoisingOptions) -> None:
        super().__init__()
        self.options = options
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)
        self.net = ContinuousNet(shape, self.embedding, outputs=shape.num_classes)
        self.gamma = GammaSchedule(options.alpha_bar_min, options.alpha_bar_max)
        self.head = EmbeddingClassifier(self.embedding)

    def start_from(self, images: TrainingImages) -> None:
        """Prototypes, where the embedding starts from them, and the classifier from the embedding."""
        self.embedding.start_from(images)
        self.head.start_from(self.embedding)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For the optimiser: the schedule apart, without weight decay.

        Some of the schedule's parameters get gradients so small that an L2 penalty would decide its shape.
        """
        schedule = list(self.gamma.parameters())
        apart = {id(p) for p in schedule}
        return [
            {"params": [p for p in self.parameters() if id(p) not in apart]},
            {"params": schedule, "weight_decay": 0.0},
        ]

    def estimate(self, features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """u_hat(z_t, x, t) = p @ W_embed, (batch, embedding_dim), as in the discrete-time block."""
        probabilities = self.net(features, z, t).softmax(dim=1)
        estimate: Tensor = probabilities @ self.embedding.weight
        return estimate

    def flow(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """dz/dt of inference at the scalar time t, (batch, embedding_dim)."""
        gamma, slope = self.gamma(t)
        return noise_schedule.probability_flow(z, self.estimate(features, z, t), gamma, slope)

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Follow the flow from noise to t = 1 and classify where it ends."""
        features = self.net.image_path(x)

        def draw() -> Tensor:
            z = start(features, self.embedding, generator)
            logits: Tensor = self.head(solve(partial(self.flow, features), z, self.options))
            return logits

        return average_predictions(draw, self.options.samples)

    def diagnose(self, batches: Batches, generator: Generator, *, weighted: bool) -> Diagnosis:
        """The network at evenly spaced times, and the class along the flow.

        Args:
            batches: as for `Method.diagnose`.
            generator: of all noise.
            weighted: whether the loss has the weight SNR'(t).
        """

        def probe(time: float) -> Probe:
            t = torch.tensor(time, device=self.embedding.weight.device)
            gamma, slope = self.gamma(t)

            def noised(u: Tensor, generator: Generator) -> Tensor:
                noise = torch.randn(u.shape, device=u.device, generator=generator)
                return noise_schedule.noised(u, gamma, noise)

            return Probe(
                time=time,
                snr_weight=float(noise_schedule.snr_slope(gamma, slope)) if weighted else None,
                noised=noised,
                estimate=lambda features, z: self.estimate(features[0], z, t),
            )

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            z_0 = start(features[0], self.embedding, generator)
            for time, z in path(partial(self.flow, features[0]), z_0, self.options):
                yield time, self.head(z)

        probes = [probe(k / LOOKED_AT) for k in range(LOOKED_AT)]
        return diagnose(batches, self.embedding.weight, lambda x: [self.net.image_path(x)], probes, chain, generator)


@register("noprop-ct")
class NoPropCT(Method):
    """NoProp in continuous time. See the module's docstring; `NoPropCTOptions` says what can be chosen."""

    summary = "NoProp, continuous time: one network, told the time, is trained to denoise the label embedding at any t"
    epoch_definition = "one pass over the training images; each batch trains the one network once, at random times"
    Options = NoPropCTOptions
    paper = PaperSettings(
        optimizer="Adam",
        epochs={"mnist": 100, "cifar10": 500, "cifar100": 1000},
        options={"steps": 1000, "solver": "euler"},
    )
    options: NoPropCTOptions

    def __init__(self, shape: TaskShape, options: NoPropCTOptions) -> None:
        super().__init__(shape, options)
        self.model = Denoiser(shape, options)

    def see_training_images(self, images: TrainingImages) -> None:
        """Start from prototypes, where asked for."""
        self.model.start_from(images)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser over everything."""
        self._optimizer = make_optimizer(self.model.parameter_groups())

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """One update from all terms of the continuous-time objective (equation 11 with t sampled).

        E[-log p(y|z_1)] + KL(q(z_0|y) || N(0, I)) + (1/2) eta E_t[SNR'(t) |u_hat(z_t, x, t) - u|^2], t ~ U(0, 1), one t
        for each image. The first term reaches only the head, W_embed and the schedule; the second the last two.
        """
        model = self.model
        u = model.embedding(y)
        t = spread_times(len(y), x.device)
        gamma, slope = model.gamma(t)
        z = noise_schedule.noised(u, gamma, torch.randn_like(u))
        error = (model.estimate(model.net.image_path(x), z, t) - u).square().sum(dim=1)
        denoising = 0.5 * self.options.eta * (noise_schedule.snr_slope(gamma, slope) * error).mean()

        (first, last), _ = model.gamma(torch.tensor([0.0, 1.0], device=x.device))
        kl = noise_schedule.kl_to_standard_normal(u, first).mean()
        z_1 = noise_schedule.noised(u, last.expand(len(y)), torch.randn_like(u))
        loss: Tensor = denoising + kl + F.cross_entropy(model.head(z_1), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Follow the probability flow from noise to t = 1 and classify where it ends."""
        return self.model.predict(x, generator)

    @torch.no_grad()
    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """The network at evenly spaced times, and the class along the flow."""
        return self.model.diagnose(batches, generator, weighted=True)

    def optimizers(self) -> Iterator[Optimizer]:
        """The one."""
        yield self._optimizer

    def stack(self) -> Iterable[nn.Module]:
        """The one network."""
        return [self.model.net]
