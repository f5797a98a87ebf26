"""Class embeddings W_embed (arXiv 2503.24322, section 4): what blocks learn to denoise, the basis of their output."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from methods.core.errors import MethodError
from methods.core.options import Options, Positive
from methods.core.training_images import TrainingImages

EmbeddingKind = Literal["onehot", "learned", "prototype"]
DEFAULT_LEARNED_DIM = 20
"""The paper's size of a learned embedding on MNIST and CIFAR-10 (table 1)."""


class ClassEmbedding(nn.Module):
    """W_embed, (num_classes, embedding_dim).

    onehot: a fixed identity matrix. learned: learned rows, initially orthonormal. prototype: learned rows of the
    image's size, each initialised with a training image of its class (`start_from`).
    """

    weight: Tensor

    def __init__(
        self, kind: EmbeddingKind, num_classes: int, image_shape: tuple[int, int, int], embedding_dim: int | None
    ) -> None:
        """Build the matrix; image_shape is (channels, height, width), embedding_dim None the size implied by the kind.

        Raises:
            MethodError: one-hot embeddings whose dimension is not the number of classes, or prototypes whose dimension
                is not the image's.
        """
        super().__init__()
        self.kind = kind
        pixels = math.prod(image_shape)
        if kind == "onehot":
            _require_dim(embedding_dim, num_classes, f"one-hot embeddings of {num_classes} classes")
            self.register_buffer("weight", torch.eye(num_classes))
            return
        if kind == "prototype":
            _require_dim(embedding_dim, pixels, f"prototypes among images of {'x'.join(map(str, image_shape))}")
            self.weight = nn.Parameter(torch.randn(num_classes, pixels))
            return
        # Rows are orthonormal if the dimension allows it (at least one per class): all classes start equally far
        # apart and at the length of one-hot embeddings.
        weight = torch.empty(num_classes, embedding_dim or DEFAULT_LEARNED_DIM)
        self.weight = nn.Parameter(nn.init.orthogonal_(weight))

    @property
    def dim(self) -> int:
        """embedding_dim."""
        return self.weight.shape[1]

    @torch.no_grad()
    def start_from(self, images: TrainingImages) -> None:
        """Initialise prototypes; does nothing for the other kinds."""
        if self.kind == "prototype":
            self.weight.copy_(images.prototypes)

    def forward(self, y: Tensor) -> Tensor:
        """U = W_embed[y]: labels (batch,) to embeddings (batch, embedding_dim)."""
        return self.weight[y]


@dataclass(frozen=True)
class HeadOptions(Options):
    """Option of methods that train everything by the cross-entropy of an `EmbeddingClassifier`."""

    head_scale: Positive = 10.0
    """Factor of the classifier's logits when training starts, not in the paper. An estimate lies between the class
    embeddings, so at 1 no class can get a logit more than 1 above another's until the classifier has grown, which it
    does by the learning rate a step: the loss of a perfect answer among ten classes is 1.46 at first."""


class EmbeddingClassifier(nn.Linear):
    """The linear classifier of a denoised embedding: (batch, embedding_dim) to logits (batch, num_classes)."""

    def __init__(self, embedding: ClassEmbedding) -> None:
        super().__init__(embedding.dim, embedding.weight.shape[0])
        self.scale = 1.0
        self.start_from(embedding)

    def start_scaled(self, scale: float, embedding: ClassEmbedding) -> None:
        """Initialise with logits multiplied by `scale`, now and when the embedding has got its first values."""
        self.scale = scale
        self.start_from(embedding)

    @torch.no_grad()
    def start_from(self, embedding: ClassEmbedding) -> None:
        """Initialise as the nearest-embedding rule: logits -|z - u_k|^2 / 2, up to a term that all classes share.

        Right for a perfectly denoised z_T. From random numbers it takes hundreds of updates to get there, during which
        a method's blocks cannot show what they have learned. Divided by the mean |u|^2, so that the logits have the
        scale that they have for one-hot embeddings, whatever the embedding's. Not in the paper.
        Multiplied by `scale`, which changes no order of classes.
        """
        weight = embedding.weight
        squared = weight.square().sum(dim=1)
        mean = squared.mean()
        self.weight.copy_(self.scale * weight / mean)
        self.bias.copy_(self.scale * (mean - squared) / (2 * mean))


def nearest(z: Tensor, embeddings: Tensor) -> Tensor:
    """Logits that rank classes by distance: -|z - u_k|^2 / 2 up to a shared term, (batch, num_classes)."""
    return z @ embeddings.T - 0.5 * embeddings.square().sum(dim=1)


def _require_dim(given: int | None, needed: int, what: str) -> None:
    if given not in (None, needed):
        raise MethodError(
            f"option embedding_dim={given} is not accepted: {what} have embedding_dim={needed}; "
            "embedding=learned takes any"
        )
