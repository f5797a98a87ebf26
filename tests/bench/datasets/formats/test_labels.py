import numpy as np
import pytest

from bench.datasets.formats.labels import check_every_class, checked_labels
from bench.errors import UserError


def test_sound_labels_become_int64() -> None:
    labels = checked_labels(np.array([2, 0, 1], np.uint8), images=3, num_classes=3, where="here")
    assert labels.dtype == np.int64
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1]), "here has 2 labels for 3 images"),
        (np.array([0, 1, 3]), "here has the label 3; labels are 0 to 2"),
        (np.array([0, -1, 2]), "here has the label -1; labels are 0 to 2"),
        (np.array([0.0, 1.5, 2.0]), "here has labels of type float64"),
        (np.array([[0, 0], [1, 1], [2, 2]]), r"here has labels of type int64 and shape \(3, 2\)"),
        (np.array([0, None, 2], dtype=object), "here has labels of type object"),
    ],
)
def test_refuses_labels(labels: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked_labels(labels, images=3, num_classes=3, where="here")


@pytest.mark.parametrize(("labels", "missing"), [([0, 0, 2], 1), ([0, 1], 2), ([1, 2], 0)])
def test_refuses_a_class_without_images(labels: list[int], missing: int) -> None:
    with pytest.raises(UserError, match=f"here has no image of class {missing}; each of the 3 classes"):
        check_every_class(np.array(labels), num_classes=3, where="here")
    check_every_class(np.array([2, 1, 0]), num_classes=3, where="here")
