"""Seeded choice of images: stratified hold-out and class-balanced order.

Random numbers come straight from the PCG64 bit generator, whose stream NumPy guarantees never to change, and are
only sorted: the same seed picks the same images under every version of NumPy and PyTorch.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def hold_out(
    labels: NDArray[np.int64], *, one_in: int | Fraction, seed: int, purpose: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw one image in `one_in` of every class (rounded, at least one), and return (drawn, rest).

    Args:
        labels: (N,), class numbers from 0.
        one_in: 10 draws a tenth of every class, 5/2 two fifths.
        seed: 0 or more.
        purpose: Any text; draws with the same seed for different purposes are independent.

    Returns:
        Two disjoint sets of indices into `labels` that together are all of them, each in random order.
    """
    import numpy as np

    random = np.random.PCG64([seed, *purpose.encode()]).random_raw(len(labels))
    order = np.argsort(random, kind="stable")
    images, of = Fraction(one_in).denominator, Fraction(one_in).numerator
    quota = np.maximum(1, (2 * images * np.bincount(labels) + of) // (2 * of))
    drawn = rank_in_class(labels[order]) < quota[labels[order]]
    return order[drawn], order[~drawn]


def balanced_order(indices: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reorder to make every prefix as balanced as possible: one image of every class, then a second of every class...

    Args:
        indices: (K,), indices into `labels`, in random order.
        labels: (N,), class numbers from 0.
    """
    import numpy as np

    return indices[np.argsort(rank_in_class(labels[indices]), kind="stable")]


def rank_in_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each label, how many equal ones come before it: [7, 3, 7, 7, 3] gives [0, 0, 1, 2, 1]."""
    import numpy as np

    counts = np.bincount(labels)
    first = np.cumsum(counts) - counts
    by_class = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    return rank
