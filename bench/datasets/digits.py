"""`digits`: the handwritten digits bundled with scikit-learn. Real images, no files, no network."""

from __future__ import annotations

from importlib.util import find_spec
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

    from bench.datasets.sampling import hold_out

    scikit_learn = find_spec("sklearn")
    assert scikit_learn is not None
    assert scikit_learn.origin is not None
    # The file that `sklearn.datasets.load_digits` reads. Importing that takes a second, in each cell's process.
    rows = np.loadtxt(Path(scikit_learn.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = np.round(rows[:, :-1] * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = rows[:, -1].astype(np.int64)
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
