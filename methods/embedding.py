"""Class embeddings W_embed: what NoProp's blocks learn to denoise, and the basis of every block's output."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from methods.registry import MethodError

EmbeddingKind = Literal["onehot", "learned"]
DEFAULT_LEARNED_DIM = 20
"""The paper's size of a learned embedding on MNIST and CIFAR-10 (table 1)."""


class ClassEmbedding(nn.Module):
    """W_embed, (num_classes, embedding_dim): a fixed identity matrix, or learned rows that start orthonormal."""

    weight: Tensor

    def __init__(self, kind: EmbeddingKind, num_classes: int, embedding_dim: int | None) -> None:
        """Build the matrix.

        Raises:
            MethodError: one-hot embeddings of a dimension that is not the number of classes.
        """
        super().__init__()
        if kind == "onehot":
            if embedding_dim not in (None, num_classes):
                raise MethodError(
                    f"option embedding_dim={embedding_dim} is not accepted: one-hot embeddings of {num_classes} "
                    f"classes have embedding_dim={num_classes}; embedding=learned takes any"
                )
            self.register_buffer("weight", torch.eye(num_classes))
        else:
            # Rows are orthonormal where the dimension allows it (at least one a class): all classes start equally far
            # apart and at the length that one-hot embeddings have.
            weight = torch.empty(num_classes, embedding_dim or DEFAULT_LEARNED_DIM)
            self.weight = nn.Parameter(nn.init.orthogonal_(weight))

    @property
    def dim(self) -> int:
        """embedding_dim."""
        return self.weight.shape[1]

    def forward(self, y: Tensor) -> Tensor:
        """U = W_embed[y]: labels (batch,) to embeddings (batch, embedding_dim)."""
        return self.weight[y]
