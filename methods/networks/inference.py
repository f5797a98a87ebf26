"""Inference from noise: predictions averaged over draws, and a diagnosis of each block and of the way to the class.

A diagnosis takes no part in training or in choosing anything. It needs labels, since a block's own task starts from the
true label's embedding; that is why it is apart from `Method.predict`, which never sees one.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from methods.core.method import Batches, BlockDiagnosis, Diagnosis
from methods.networks.embedding import nearest


def average_predictions(draw: Callable[[], Tensor], samples: int) -> Tensor:
    """Log of the mean class probabilities, (batch, num_classes), over draws of noise; the logits of a single draw."""
    if samples == 1:
        return draw()
    log_probabilities = torch.stack([draw().log_softmax(dim=1) for _ in range(samples)])
    return log_probabilities.logsumexp(dim=0) - math.log(samples)


@dataclass(frozen=True)
class Probe:
    """How to diagnose one block (or the network at one time)."""

    time: float
    snr_weight: float | None
    noised: Callable[[Tensor, Generator], Tensor]
    """Clean embeddings u, (batch, embedding_dim), to the block's input z at its own noise level."""
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
    """Diagnose each block by its probe, and the class along the chain of inference.

    Args:
        batches: images and labels.
        embeddings: W_embed, (num_classes, embedding_dim). An estimate's class is that of the nearest row.
        image_features: computes from images what does not change with the noise, for probes and chain.
        probes: one per block; may be empty.
        chain: yields (time, logits) from the start of inference to its end.
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
            own[k] += _correct(nearest(estimate, embeddings), y)
            error[k] += float((estimate - u).square().sum())
            noise = torch.randn(u.shape, device=u.device, generator=generator)
            alone[k] += _correct(nearest(probe.estimate(features, noise), embeddings), y)
        for time, logits in chain(features, generator):
            steps[time] = steps.get(time, 0.0) + _correct(logits, y)
    if images == 0:
        raise ValueError("there are no images to look at")
    return Diagnosis(
        images=images,
        blocks=tuple(
            BlockDiagnosis(probe.time, own[k] / images, alone[k] / images, error[k] / squared_norm, probe.snr_weight)
            for k, probe in enumerate(probes)
        ),
        steps=tuple((time, correct / images) for time, correct in steps.items()),
    )


def _correct(logits: Tensor, y: Tensor) -> float:
    """How many images get their class."""
    return float((logits.argmax(dim=1) == y).sum())
