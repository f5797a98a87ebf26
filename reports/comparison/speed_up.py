"""What more ranks gain: the training time of two runs that differ in how many processes trained their cells."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from tabulate import tabulate

from reports.comparison.pairing import Pair
from reports.formats.markdown import number, times
from reports.statistics.estimates import ratio_estimate

HEADERS = (
    *("data set", "method", "seeds", "ranks, A", "ranks, B"),
    *("training, s, A", "training, s, B", "speed-up", "efficiency"),
)


def speed_up(pairs: Iterable[Pair]) -> str | None:
    """A table of every method that had one number of ranks in A and another in B; None where there is none.

    The speed-up is A's seconds over B's, a geometric mean over seeds with its interval, and the efficiency the speed-up
    over what the ranks would give at most.
    """
    rows = [row for pair in pairs for row in _row(pair)]
    if not rows:
        return None
    align = ["left", "left", *("right" for _ in HEADERS[2:])]
    return tabulate(rows, HEADERS, tablefmt="simple", colalign=align, disable_numparse=True)


def _row(pair: Pair) -> Iterator[list[str]]:
    ours, theirs = ({cell.world_size for cell in cells} for cells in (pair.old, pair.new))
    seconds = [
        (a.train_seconds, b.train_seconds)
        for a, b in zip(pair.old, pair.new, strict=True)
        if a.train_seconds and b.train_seconds
    ]
    if ours == theirs or len(ours) > 1 or len(theirs) > 1 or not seconds or "train_seconds" in pair.obstacles:
        return
    (few,), (many,) = ours, theirs
    gain = ratio_estimate(a / b for a, b in seconds)
    assert gain is not None
    yield [
        pair.dataset,
        pair.method,
        str(len(seconds)),
        str(few),
        str(many),
        *(number(statistics.fmean(column)) for column in zip(*seconds, strict=True)),
        times(gain, decimals=2),
        f"{gain.mean / (many / few):.0%}",
    ]
