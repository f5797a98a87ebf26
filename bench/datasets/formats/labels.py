"""Checks of labels that all formats share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError


def checked_labels(labels: NDArray[Any], *, images: int, num_classes: int, where: str) -> NDArray[np.int64]:
    """Return labels as int64, after checking that there is one in range for every image.

    Args:
        labels: (N,), or (N, 1) as Keras and MedMNIST write them, of any whole-number type.
        images: How many images the labels belong to.
        num_classes: Labels must be 0 .. num_classes - 1.
        where: The file, for the message.

    Raises:
        UserError: not whole numbers, not one for each image, or one out of range.
    """
    labels = flat(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where} has labels of type {labels.dtype} and shape {labels.shape}; expected (N,) integers")
    if len(labels) != images:
        raise UserError(f"{where} has {len(labels)} labels for {images} images; expected one for each image")
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise UserError(f"{where} has the label {wrong[0]}; labels are 0 to {num_classes - 1}")
    return labels.astype(np.int64)


def flat(labels: NDArray[Any]) -> NDArray[Any]:
    """(N, 1) as (N,); anything else as it is."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def check_every_class(labels: NDArray[np.int64], *, num_classes: int, where: str) -> None:
    """Check that each class has at least one image.

    Raises:
        UserError: a class has none; the message names the first such class.
    """
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UserError(f"{where} has no image of class {missing[0]}; each of the {num_classes} classes needs one")
