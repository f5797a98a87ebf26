"""Independent streams of random numbers from one seed: no two uses of a seed share their numbers."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are drawn for."""

    INITIALISATION = 0
    TRAINING = 1
    """Noise and dropout of training steps: the same numbers for every method, however many its start has taken."""
    ORDER = 2
    """Of the training images: the same batches for every method."""
    EVALUATION = 3
    DIAGNOSTICS = 4
    AUGMENTATION = 5
    """Of the training images: the same for every method."""


def seed_of(seed: int, stream: Stream) -> int:
    """The seed of a stream's generator, below 2^63: a hash of both, as neighbouring seeds must be unrelated too."""
    return int(np.random.SeedSequence((seed, int(stream))).generate_state(1, np.uint64)[0] >> np.uint64(1))
