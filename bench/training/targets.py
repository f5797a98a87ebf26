"""What it took to reach a validation accuracy: training seconds and training images."""

from collections.abc import Sequence
from itertools import accumulate

from results.schema import EpochRecord

ACCURACY_TARGETS = (0.90, 0.95, 0.97, 0.98, 0.99)


def seconds_to_targets(epochs: Sequence[EpochRecord]) -> dict[str, float | None]:
    """Training seconds by the end of the first epoch whose validation accuracy reached each target; None: never."""
    elapsed = list(accumulate(epoch.train_seconds for epoch in epochs))
    return {name: None if first is None else elapsed[first] for name, first in _reached(epochs).items()}


def images_to_targets(epochs: Sequence[EpochRecord], images: int) -> dict[str, int | None]:
    """Training images by then, each pass counted; None: never.

    Args:
        epochs: those that were evaluated.
        images: that were trained on in each epoch, evaluated or not.
    """
    return {name: None if first is None else epochs[first].epoch * images for name, first in _reached(epochs).items()}


def _reached(epochs: Sequence[EpochRecord]) -> dict[str, int | None]:
    """Index of the first epoch that reached each target."""
    return {
        f"{target:.2f}": next((k for k, epoch in enumerate(epochs) if epoch.val_accuracy >= target), None)
        for target in ACCURACY_TARGETS
    }
