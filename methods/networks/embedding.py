"""Class embeddings W_embed (section 4): what blocks learn to denoise, and the basis of their output."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from methods.core.errors import MethodError
from methods.core.training_images import TrainingImages

EmbeddingKind = Literal["onehot", "learned", "prototype"]
DEFAULT_LEARNED_DIM = 20
"""The paper's size of a learned embedding on MNIST and CIFAR-10 (table 1)."""


class ClassEmbedding(nn.Module):
    """W_embed, (num_classes, embedding_dim).

    onehot: a fixed identity matrix. learned: learned rows that start orthonormal. prototype: learned rows of the
    image's own size, each of which starts from a training image of its class (`start_from`).
    """

    weight: Tensor

    def __init__(
        self, kind: EmbeddingKind, num_classes: int, image_shape: tuple[int, int, int], embedding_dim: int | None
    ) -> None:
        """Build the matrix.

        Args:
            kind: Which of the three.
            num_classes: Rows.
            image_shape: (channels, height, width) of an image, for prototypes.
            embedding_dim: Columns; None: what the kind implies.

        Raises:
            MethodError: one-hot embeddings of a dimension that is not the number of classes, or prototypes of one that
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
        # Rows are orthonormal where the dimension allows it (at least one a class): all classes start equally far
        # apart and at the length that one-hot embeddings have.
        weight = torch.empty(num_classes, embedding_dim or DEFAULT_LEARNED_DIM)
        self.weight = nn.Parameter(nn.init.orthogonal_(weight))

    @property
    def dim(self) -> int:
        """embedding_dim."""
        return self.weight.shape[1]

    @torch.no_grad()
    def start_from(self, images: TrainingImages) -> None:
        """Put the prototypes in place; nothing to do for the other kinds."""
        if self.kind == "prototype":
            self.weight.copy_(images.prototypes)

    def forward(self, y: Tensor) -> Tensor:
        """U = W_embed[y]: labels (batch,) to embeddings (batch, embedding_dim)."""
        return self.weight[y]


class EmbeddingClassifier(nn.Linear):
    """The linear classifier of a denoised embedding: (batch, embedding_dim) to logits (batch, num_classes)."""

    def __init__(self, embedding: ClassEmbedding) -> None:
        super().__init__(embedding.dim, embedding.weight.shape[0])
        self.start_from(embedding)

    @torch.no_grad()
    def start_from(self, embedding: ClassEmbedding) -> None:
        """Start as the rule that takes the nearest embedding: logits -|z - u_k|^2 / 2, up to what all classes share.

        Right for a perfectly denoised z_T. From random numbers it takes hundreds of updates to get there, in which a
        method's blocks cannot show what they have learned. Divided by the mean |u|^2, so that the logits have the scale
        that they have for one-hot embeddings, whatever the embedding's. Not in the paper.
        """
        weight = embedding.weight
        squared = weight.square().sum(dim=1)
        scale = squared.mean()
        self.weight.copy_(weight / scale)
        self.bias.copy_((scale - squared) / (2 * scale))


def nearest(z: Tensor, embeddings: Tensor) -> Tensor:
    """Logits that rank classes by distance: -|z - u_k|^2 / 2 up to what all classes share, (batch, num_classes)."""
    return z @ embeddings.T - 0.5 * embeddings.square().sum(dim=1)


def _require_dim(given: int | None, needed: int, what: str) -> None:
    if given not in (None, needed):
        raise MethodError(
            f"option embedding_dim={given} is not accepted: {what} have embedding_dim={needed}; "
            "embedding=learned takes any"
        )
