"""NoProp by flow matching (arXiv 2503.24322, section 2.4): one network learns the velocity from noise to the label.

z_t = (1 - t) z_0 + t z_1 goes straight from noise z_0 ~ N(0, I) to the label's embedding z_1 = u; the network learns
its velocity z_1 - z_0 from the image, z_t and t. At inference the learned velocity is followed from noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.averaging import average_predictions
from methods.continuous import LOOKED_AT, ContinuousNet, ContinuousOptions, path, solve, spread_times, start
from methods.diagnostics import Batches, Diagnosis, Probe, diagnose, nearest
from methods.embedding import ClassEmbedding, EmbeddingClassifier
from methods.method import MakeOptimizer, Method, PaperSettings, TaskShape
from methods.prototypes import TrainingImages
from methods.registry import register


@register("noprop-fm")
class NoPropFM(Method):
    """NoProp by flow matching. See the module's docstring; `ContinuousOptions` says what can be chosen."""

    summary = "NoProp, flow matching: one network, told the time, is trained to give the velocity from noise to label"
    epoch_definition = "one pass over the training images; each batch trains the one network once, at random times"
    Options = ContinuousOptions
    paper = PaperSettings(
        optimizer="Adam",
        epochs={"mnist": 100, "cifar10": 500, "cifar100": 1000},
        options={"steps": 1000, "solver": "euler"},
    )
    options: ContinuousOptions

    def __init__(self, shape: TaskShape, options: ContinuousOptions) -> None:
        super().__init__(shape, options)
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)
        # The velocity may be anything: unlike an estimate of u, it is no mean of class embeddings.
        self.net = ContinuousNet(shape, self.embedding, outputs=self.embedding.dim)
        # A fixed embedding needs no classifier: the nearest one is the class. With a learned one, the cross-entropy
        # below keeps classes apart, without which all could share one embedding. It does not bound their length:
        # embeddings may shrink, which the matching loss favours, while the classifier grows.
        self.head = None if options.embedding == "onehot" else EmbeddingClassifier(self.embedding)

    def see_training_images(self, images: TrainingImages) -> None:
        """Start from prototypes, where asked for."""
        self.embedding.start_from(images)
        if self.head is not None:
            self.head.start_from(self.embedding)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser over everything."""
        self._optimizer = make_optimizer(self.parameters())

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """One update from |v(z_t, x, t) - (z_1 - z_0)|^2 at t ~ U(0, 1), one t for each image.

        Where the embedding is learned, plus the cross-entropy of the end point that the velocity points at,
        z_t + (1 - t) v.
        """
        z_1 = self.embedding(y)
        z_0 = torch.randn_like(z_1)
        t = spread_times(len(y), x.device)
        z = torch.lerp(z_0, z_1, t.unsqueeze(1))
        velocity = self.net(self.net.image_path(x), z, t)
        loss = matching_loss(velocity, z_0, z_1)
        if self.head is not None:
            loss = loss + F.cross_entropy(self.head(end_point(z, velocity, t)), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Follow the velocity from noise to t = 1 and classify where it ends."""
        features = self.net.image_path(x)

        def draw() -> Tensor:
            z = start(features, self.embedding, generator)
            return self._classify(solve(partial(self._velocity, features), z, self.options))

        return average_predictions(draw, self.options.samples)

    def _velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """dz/dt of inference at the scalar time t, (batch, embedding_dim)."""
        velocity: Tensor = self.net(features, z, t)
        return velocity

    def _classify(self, z: Tensor) -> Tensor:
        logits: Tensor = nearest(z, self.embedding.weight) if self.head is None else self.head(z)
        return logits

    @torch.no_grad()
    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """The end point pointed at from evenly spaced times, and the class along the path."""

        def probe(time: float) -> Probe:
            t = torch.tensor(time, device=self.embedding.weight.device)

            def noised(u: Tensor, generator: Generator) -> Tensor:
                return torch.lerp(torch.randn(u.shape, device=u.device, generator=generator), u, time)

            return Probe(
                time=time,
                snr_weight=None,
                noised=noised,
                estimate=lambda features, z: end_point(z, self.net(features[0], z, t), t.expand(len(z))),
            )

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            z_0 = start(features[0], self.embedding, generator)
            for time, z in path(partial(self._velocity, features[0]), z_0, self.options):
                yield time, self._classify(z)

        probes = [probe(k / LOOKED_AT) for k in range(LOOKED_AT)]
        return diagnose(batches, self.embedding.weight, lambda x: [self.net.image_path(x)], probes, chain, generator)

    def optimizers(self) -> Iterator[Optimizer]:
        """The one."""
        yield self._optimizer

    def stack(self) -> Iterable[nn.Module]:
        """The one network."""
        return [self.net]


def matching_loss(velocity: Tensor, z_0: Tensor, z_1: Tensor) -> Tensor:
    """|v - (z_1 - z_0)|^2, mean over the batch; all (batch, embedding_dim)."""
    return (velocity - (z_1 - z_0)).square().sum(dim=1).mean()


def end_point(z: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
    """z_1 extrapolated along the velocity: z_t + (1 - t) v; z, v (batch, embedding_dim), t (batch,)."""
    return z + (1 - t).unsqueeze(1) * velocity
