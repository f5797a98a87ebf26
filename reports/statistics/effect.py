"""How far a method is from the reference in one measure, how sure that is, and the verdict that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

LEVEL = 0.95
"""Of every interval that is printed, each by itself."""
MAX_SEEDS = 100
"""More seeds than that are not suggested."""


class Verdict(StrEnum):
    """What the data say of a method against the reference."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


class Basis(StrEnum):
    """The sources of chance that an interval covers."""

    SEEDS_AND_IMAGES = "seeds and test images"
    SEEDS = "seeds alone"
    IMAGES = "test images alone"
    COUNTED = "counted exactly"
    STEPS = "pairs of training steps"


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends; both the same where nothing varies."""

    low: float
    high: float

    def within(self, margin: float) -> bool:
        """Whether it lies inside -margin to +margin."""
        return -margin <= self.low and self.high <= margin

    def excludes_zero(self) -> bool:
        """Whether it lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference from the reference, on the scale on which it was estimated (points; logarithm of a ratio)."""

    value: float
    seeds: int
    """Seeds that it rests on."""
    basis: Basis
    alone: Interval | None
    """95% interval of this comparison by itself; None where nothing tells what chance does."""
    family: Interval | None
    """The interval that holds for all methods of the table together; the verdict is read from it."""
    seed_sd: float | None = None
    """Spread that one more seed averages out, as the SD of a single seed's difference; None where it is not known."""
    fixed_variance: float = 0.0
    """The variance of the value that no further seed averages out: that of the test images."""
    df_per_seed: float = 1.0
    """Degrees of freedom of the spread that one more seed brings: as many as methods share it."""

    is_steady: bool = True
    """Whether the method's own seeds agree as well as the noise of all methods lets expect."""

    def rises_past(self, limit: float) -> bool:
        """Whether a cost rose by more than the limit and by more than chance, and its seeds agree on it.

        The last is asked since the machine may disturb one cell so little that it does not stand out from all others,
        and yet enough to move the mean.
        """
        return self.is_steady and self.value > limit and self.family is not None and self.family.low > 0

    def verdict(self, margin: float, *, higher_is_better: bool) -> Verdict:
        """Equivalent inside the margin, else better or worse where the family's interval excludes 0, else undecided.

        Args:
            margin: What counts as no difference in practice, on the scale of the effect.
            higher_is_better: True for accuracy, False for time and memory.
        """
        if self.family is None:
            return Verdict.UNDECIDED
        if self.family.within(margin):
            return Verdict.EQUIVALENT
        if not self.family.excludes_zero():
            return Verdict.UNDECIDED
        return Verdict.BETTER if (self.value > 0) == higher_is_better else Verdict.WORSE

    def needs_images(self, margin: float, comparisons: int) -> bool:
        """Whether the test images alone leave more than `seeds_to_decide` allows, however many seeds there are."""
        from scipy import special  # slow to import, and `--help` need not wait for it

        if self.seed_sd is None:
            return False
        quantile = -float(special.ndtri((1 - LEVEL) / 2 / comparisons))
        return 2 * quantile * math.sqrt(self.fixed_variance) > margin

    def seeds_to_decide(self, margin: float, comparisons: int) -> int | None:
        """How many seeds in all make the family's interval so narrow that any outcome is decided.

        That is when it is no wider than the margin: an interval that holds 0 then lies inside -margin to +margin.
        Bonferroni's quantile of Student's t stands for the family's, which is no wider.

        Returns:
            The number, or None: the test images alone leave more, the spread is not known, or it takes more than
            `MAX_SEEDS`.
        """
        from scipy import special  # slow to import, and `--help` need not wait for it

        if self.seed_sd is None:
            return None
        for seeds in range(max(2, self.seeds), MAX_SEEDS + 1):
            variance = self.seed_sd**2 / seeds + self.fixed_variance
            quantile = -special.stdtrit(self.df_per_seed * (seeds - 1), (1 - LEVEL) / 2 / comparisons)
            if 2 * quantile * math.sqrt(variance) <= margin:
                return seeds
        return None
