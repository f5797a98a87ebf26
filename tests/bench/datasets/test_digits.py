import numpy as np

from bench.datasets import get


def test_is_all_of_scikit_learns_digits() -> None:
    from sklearn.datasets import load_digits

    raw, bunch = get("digits").load(None), load_digits()
    assert raw.x_train.shape[1:] == (1, 8, 8)
    mine = [(image.tobytes(), label) for x, y in ((raw.x_train, raw.y_train), (raw.x_test, raw.y_test))
            for image, label in zip(x, y, strict=True)]  # fmt: skip
    levels = np.array([0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255], np.uint8)
    theirs = [
        (levels[image.astype(int)].tobytes(), label) for image, label in zip(bunch.images, bunch.target, strict=True)
    ]
    assert sorted(mine) == sorted(theirs)
    assert not raw.partial
    assert raw.verified is None
    assert raw.source == "scikit-learn (bundled)"


def test_the_test_part_is_a_fifth_of_every_class() -> None:
    raw = get("digits").load(None)
    held, left = np.bincount(raw.y_test), np.bincount(raw.y_train)
    assert np.abs(held - (held + left) / 5).max() <= 0.5
