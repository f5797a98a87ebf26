"""`digits`: the handwritten digits bundled with scikit-learn. Real images, no files, no network."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.registry import RawData, register

_TEST_SPLIT_SEED = 0
"""scikit-learn's copy has no official test part, so ours is fixed: it is the same for everybody and never an option."""


@register(
    "digits",
    summary="1,797 handwritten digits, 8x8 grey (bundled with scikit-learn, always there)",
    class_names=tuple("0123456789"),
    epochs={"quick": 10, "standard": 20, "paper": 100},
)
def load_digits(data_dir: Path | None) -> RawData:
    """Load the 1,797 images (N, 1, 8, 8); a stratified fifth, fixed for good, is the test part.

    Pixels are 0..16 in the source and are stretched to 0..255. `data_dir` is not used.
    """
    import numpy as np
    import sklearn.datasets

    from bench.datasets.sampling import hold_out

    bunch = sklearn.datasets.load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    test, train = (np.sort(part) for part in hold_out(labels, one_in=5, seed=_TEST_SPLIT_SEED, purpose="digits test"))
    return RawData(
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        source="scikit-learn (bundled)",
        verified=None,
        partial=False,
    )
