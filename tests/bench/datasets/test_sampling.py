import numpy as np
import pytest

from bench.datasets.sampling import balanced_order, hold_out, rank_in_class

LABELS = np.random.default_rng(0).choice(4, size=200, p=[0.5, 0.3, 0.18, 0.02])


def test_rank_in_class() -> None:
    assert rank_in_class(np.array([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]


def test_hold_out_parts_and_covers() -> None:
    held, rest = hold_out(LABELS, one_in=10, seed=0, purpose="x")
    assert sorted([*held, *rest]) == list(range(200))


@pytest.mark.parametrize("one_in", [2, 5, 10])
def test_hold_out_takes_its_share_of_every_class_and_at_least_one(one_in: int) -> None:
    held, _ = hold_out(LABELS, one_in=one_in, seed=0, purpose="x")
    counts, all_counts = np.bincount(LABELS[held], minlength=4), np.bincount(LABELS)
    assert counts.tolist() == [max(1, int(count / one_in + 0.5)) for count in all_counts]


def test_hold_out_depends_on_seed_and_purpose_only() -> None:
    def draw(seed: int, purpose: str) -> list[int]:
        return hold_out(LABELS, one_in=10, seed=seed, purpose=purpose)[0].tolist()

    assert draw(0, "x") == draw(0, "x")
    assert draw(0, "x") != draw(1, "x")
    assert draw(0, "x") != draw(0, "y")


def test_hold_out_is_pinned() -> None:
    """The same images for everybody, whatever the version of NumPy: a change here breaks every stored result."""
    held, _ = hold_out(np.arange(30) % 3, one_in=5, seed=0, purpose="pinned")
    assert held.tolist() == [19, 26, 0, 11, 10, 12]


def test_hold_out_is_spread_over_the_data() -> None:
    held, _ = hold_out(np.zeros(10_000, np.int64), one_in=10, seed=0, purpose="x")
    quarters = np.bincount(held // 2500, minlength=4)
    assert quarters.min() > 200  # 250 expected, standard deviation 13


def test_every_prefix_of_balanced_order_is_balanced() -> None:
    labels = np.repeat(np.arange(3), [5, 6, 9])
    indices = np.random.default_rng(0).permutation(20)
    order = balanced_order(indices, labels)
    assert sorted(order) == list(range(20))
    for size in range(1, 5 * 3 + 2 + 1):
        counts = np.bincount(labels[order[:size]], minlength=3)
        assert counts.max() - counts.min() <= 1
