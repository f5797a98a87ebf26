"""SVHN's MATLAB files (version 5): `X`, the images, and `y`, the digits.

Source: the data set's page, http://ufldl.stanford.edu/housenumbers/. The digit 0 has the label 10 there; some copies
have it as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets.formats.checksums import md5_of
from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.datasets.formats.npz import describe
from bench.datasets.registry import RawData
from bench.errors import UserError

NUM_CLASSES = 10
TRAIN_IMAGES, TEST_IMAGES = 73_257, 26_032


def read_mat_files(files: Mapping[Path, str], source: str) -> RawData:
    """Read the training and the test part, given as their files and the published MD5 sums of those.

    Raises:
        UserError: a file cannot be read or is damaged, or its images or labels are not SVHN's.
    """
    train, test = files
    (x_train, y_train), (x_test, y_test) = _read(train), _read(test)
    return RawData(
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        source=source,
        verified=all(md5_of(path) == md5 for path, md5 in files.items()),
        partial=len(x_train) < TRAIN_IMAGES or len(x_test) < TEST_IMAGES,
    )


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 3, 32, 32) and labels (N,)."""
    import scipy.io

    try:
        held = scipy.io.loadmat(path, appendmat=False, variable_names=("X", "y"))
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # a damaged file can raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path} is not a sound MATLAB file of version 5 ({reason}); replace it") from None
    for name in ("X", "y"):
        if name not in held:
            raise UserError(f"{path} holds no {name}; expected X, the images, and y, the digits")
    images, labels = held["X"], held["y"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise UserError(f"X in {path} is {describe(images)}; expected uint8 of shape (32, 32, 3, N), colour images")
    digits = checked_labels(labels.reshape(-1), images=images.shape[3], num_classes=NUM_CLASSES + 1, where=str(path))
    digits[digits == NUM_CLASSES] = 0
    check_every_class(digits, num_classes=NUM_CLASSES, where=str(path))
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), digits
