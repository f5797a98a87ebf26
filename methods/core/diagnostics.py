"""What a method can say of its blocks, one by one: each on its own task, and the class as inference goes on.

Nothing of it takes part in training or in choosing anything. Labels are needed, since a block's own task starts from
the true label's embedding; that is why this is apart from `Method.predict`, which never sees one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from methods.networks.embedding import nearest

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images as in `Method.train_step` and their labels."""


@dataclass(frozen=True)
class BlockDiagnosis:
    """One block, or one time of a network in continuous time."""

    time: float
    """Of the block's input, in [0, 1): 0 is pure noise."""
    own_accuracy: float
    """Accuracy of its estimate on the task it is trained for: image, and true label noised to its level."""
    image_accuracy: float
    """The same with pure noise instead of the noised label: what it reads from the image alone."""
    denoising_error: float
    """Mean |u_hat - u|^2 over mean |u|^2 on its own task."""
    snr_weight: float | None
    """Weight of its loss; None where the loss has none."""


@dataclass(frozen=True)
class Diagnosis:
    """What `Method.diagnose` found."""

    images: int
    blocks: tuple[BlockDiagnosis, ...]
    steps: tuple[tuple[float, float], ...]
    """(time, accuracy): accuracy if inference stopped at that time; the first is its start at 0, the last its end."""


@dataclass(frozen=True)
class Probe:
    """How to look at one block (or time)."""

    time: float
    snr_weight: float | None
    noised: Callable[[Tensor, Generator], Tensor]
    """Clean embeddings u, (batch, embedding_dim), to the block's input z at its own level."""
    estimate: Callable[[list[Tensor], Tensor], Tensor]
    """(features of the images, z) to u_hat, (batch, embedding_dim)."""


@torch.no_grad()
def diagnose(
    batches: Batches,
    embeddings: Tensor,
    image_features: Callable[[Tensor], list[Tensor]],
    probes: list[Probe],
    chain: Callable[[list[Tensor], Generator], Iterable[tuple[float, Tensor]]],
    generator: Generator,
) -> Diagnosis:
    """Look at every probe and along the chain of inference.

    Args:
        batches: images and labels.
        embeddings: W_embed, (num_classes, embedding_dim). The class of an estimate is that of the nearest row.
        image_features: images to what does not change with the noise; given to the two below.
        probes: the blocks; may be empty.
        chain: the features to (time, logits) from the start of inference to its end.
        generator: of all noise.

    Raises:
        ValueError: there are no images.
    """
    images = 0
    squared_norm = 0.0
    own, alone, error = ([0.0] * len(probes) for _ in range(3))
    steps: dict[float, float] = {}
    for x, y in batches:
        images += len(y)
        u, features = embeddings[y], image_features(x)
        squared_norm += float(u.square().sum())
        for k, probe in enumerate(probes):
            estimate = probe.estimate(features, probe.noised(u, generator))
            own[k] += _right(estimate, embeddings, y)
            error[k] += float((estimate - u).square().sum())
            noise = torch.randn(u.shape, device=u.device, generator=generator)
            alone[k] += _right(probe.estimate(features, noise), embeddings, y)
        for time, logits in chain(features, generator):
            steps[time] = steps.get(time, 0.0) + float((logits.argmax(dim=1) == y).sum())
    if images == 0:
        raise ValueError("there are no images to look at")
    return Diagnosis(
        images=images,
        blocks=tuple(
            BlockDiagnosis(
                time=probe.time,
                own_accuracy=own[k] / images,
                image_accuracy=alone[k] / images,
                denoising_error=error[k] / squared_norm,
                snr_weight=probe.snr_weight,
            )
            for k, probe in enumerate(probes)
        ),
        steps=tuple((time, right / images) for time, right in steps.items()),
    )


def _right(estimate: Tensor, embeddings: Tensor, y: Tensor) -> float:
    return float((nearest(estimate, embeddings).argmax(dim=1) == y).sum())
