"""Checks of labels that all formats share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError


def checked_labels(labels: NDArray[Any], *, images: int, num_classes: int, where: str) -> NDArray[np.int64]:
    """Return labels as int64, after checking that there is one in range for every image.

    Args:
        labels: In any form that `class_numbers` knows.
        images: How many images the labels belong to.
        num_classes: Labels must be 0 .. num_classes - 1.
        where: The file, for the message.

    Raises:
        UserError: not whole numbers, not one for each image, or one out of range.
    """
    labels = class_numbers(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where} has labels of type {labels.dtype} and shape {labels.shape}; expected (N,) integers")
    if len(labels) != images:
        raise UserError(f"{where} has {len(labels)} labels for {images} images; expected one for each image")
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise UserError(f"{where} has the label {wrong[0]}; labels are 0 to {num_classes - 1}")
    return labels.astype(np.int64)


def class_numbers(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels as (N,) whole numbers, where they say no more than that; anything else as it is.

    Also read are (N, 1), as Keras and MedMNIST write them; (N, K) with one 1 in each row (one-hot); and truth values
    or floats that are whole numbers.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and _are_whole(labels)):
        labels = labels.astype(np.int64)
    if labels.ndim == 2 and labels.dtype.kind in "iu" and len(labels):
        is_hot = labels == 1
        if (is_hot | (labels == 0)).all() and (is_hot.sum(axis=1) == 1).all():
            numbers: NDArray[Any] = is_hot.argmax(axis=1)
            return numbers
    return labels


def _are_whole(labels: NDArray[Any]) -> bool:
    numbers = labels.astype(np.float64)  # 2**53 is no number of 16 bits
    return bool((np.abs(numbers) < 2**53).all() and (numbers == np.trunc(numbers)).all())


def check_every_class(labels: NDArray[np.int64], *, num_classes: int, where: str) -> None:
    """Check that each class has at least one image.

    Raises:
        UserError: a class has none; the message names the first such class.
    """
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UserError(f"{where} has no image of class {missing[0]}; each of the {num_classes} classes needs one")
