"""NoProp by flow matching (arXiv 2503.24322, section 2.4): one network learns the velocity from noise to the label.

z_t = (1 - t) z_0 + t z_1 is the straight path from noise z_0 ~ N(0, I) to the label's embedding z_1 = u; the network
learns its velocity z_1 - z_0 from the image, z_t and t. Inference follows the learned velocity from noise.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from methods.core.method import TaskShape
from methods.core.registry import register
from methods.networks.continuous import PAPER, ContinuousNet, ContinuousOptions, FlowMethod, spread_times
from methods.networks.embedding import EmbeddingClassifier
from methods.networks.inference import Probe


@register("noprop-fm")
class NoPropFM(FlowMethod):
    """NoProp by flow matching. See the module's docstring; `ContinuousOptions` has the options."""

    summary = "NoProp, flow matching: one network, told the time, is trained to give the velocity from noise to label"
    epoch_definition = "one pass over the training images; each batch trains the one network once, at random times"
    credit = "gradients inside a block"
    Options = ContinuousOptions
    paper = PAPER

    def __init__(self, shape: TaskShape, options: ContinuousOptions) -> None:
        super().__init__(shape, options)
        # The velocity may be anything: unlike an estimate of u, it is no mean of class embeddings.
        self.net = ContinuousNet(shape, self.embedding, outputs=self.embedding.dim, features=options.features)
        # A fixed embedding needs no classifier: the nearest one is the class. With a learned one, the cross-entropy
        # below keeps classes apart, without which all could share one embedding. It does not bound their length:
        # embeddings may shrink, which the matching loss favours, while the classifier grows.
        self.head = None if options.embedding == "onehot" else EmbeddingClassifier(self.embedding)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """|v(z_t, x, t) - (z_1 - z_0)|^2 at t ~ U(0, 1), one t for each image.

        If the embedding is learned, plus the cross-entropy of the end point that the velocity points at,
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
        return loss

    def velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """The network's output."""
        return self.net(features, z, t)

    def _probe(self, time: float) -> Probe:
        """The end point that the velocity points at from one time."""
        t = torch.tensor(time, device=self.embedding.weight.device)

        def noised(u: Tensor, generator: Generator) -> Tensor:
            return torch.lerp(torch.randn(u.shape, device=u.device, generator=generator), u, time)

        return Probe(
            time=time,
            snr_weight=None,
            noised=noised,
            estimate=lambda features, z: end_point(z, self.velocity(features[0], t, z), t.expand(len(z))),
        )


def matching_loss(velocity: Tensor, z_0: Tensor, z_1: Tensor) -> Tensor:
    """|v - (z_1 - z_0)|^2, mean over the batch; all (batch, embedding_dim)."""
    return (velocity - (z_1 - z_0)).square().sum(dim=1).mean()


def end_point(z: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
    """z_1 extrapolated along the velocity: z_t + (1 - t) v; z, v (batch, embedding_dim), t (batch,)."""
    return z + (1 - t).unsqueeze(1) * velocity
