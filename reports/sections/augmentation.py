"""What was done to training images, in words."""

from __future__ import annotations

from results.schema import AugmentationRecord

EXPLANATION = (
    "*Augmentation*: training images were changed at random, anew in each epoch and alike for every method at the same "
    "seed: shifted by up to so many pixels up or down × left or right, with the stored value 0 for what comes in from "
    "outside, and, where that is said, half of them mirrored left to right. Validation and test images were not."
)


def in_words(augmentation: AugmentationRecord | None) -> str:
    """`none`, `shifts of up to 4 × 4 pixels`, or the same `, half of them mirrored`."""
    if augmentation is None:
        return "none"
    shifts = f"shifts of up to {' × '.join(map(str, augmentation.shift))} pixels"
    return f"{shifts}, half of them mirrored" if augmentation.flip else shifts
