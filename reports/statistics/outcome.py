"""What happened to a method in training, where its accuracy alone would mislead: at chance, or not done learning."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.view import DatasetView
from results.conditions import DataRecord
from results.schema import CellResult

UNEQUAL = 1.25
"""Times its even share that the most frequent class has of the test images: from here on, classes are unequal."""
_LEVEL = 0.95
_LAST_PART = 0.2
"""Part of the epochs over which a method that is done no longer rises."""
_MIN_EPOCHS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the report has to say of a method besides its figures."""

    at_chance: bool = False
    """Its test accuracy is not shown to be above that of naming the most frequent class."""
    loss_rose: bool = False
    """Its training loss was higher at the end than after the first epoch, with most seeds."""
    rise: float | None = None
    """Points of validation accuracy that it won in the last fifth of the epochs, where that is more than the margin and
    more than chance: it was still learning."""


def outcome(data: DatasetView, method: str) -> Outcome:
    """Look at a method's finished cells."""
    cells = data.finished[method]
    rose = [cell.epochs[-1].train_loss > cell.epochs[0].train_loss for cell in cells if len(cell.epochs) > 1]
    return Outcome(at_chance(cells), 2 * sum(rose) > len(rose), _rise(cells, data.margins.accuracy_points))


def floor(cells: Sequence[CellResult]) -> float | None:
    """The accuracy of always naming one class: the most frequent class's share of the test part, or else 1 / K."""
    records = [cell.data for cell in cells if cell.data is not None]
    if not records:
        return None
    return records[0].majority_share if records[0].majority_share is not None else 1 / records[0].num_classes


def unequal(cells: Iterable[CellResult]) -> DataRecord | None:
    """The cells' data, where the most frequent class has far more than its even share of the test images."""
    records = [cell.data for cell in cells if cell.data is not None]
    return next((each for each in records if (each.majority_share or 0.0) * each.num_classes >= UNEQUAL), None)


def at_chance(cells: Sequence[CellResult]) -> bool:
    """Whether the lower end of the mean accuracy's interval (Wilson's, for the test images) reaches the floor."""
    accuracies = [cell.test_accuracy for cell in cells if cell.test_accuracy is not None]
    images = max((cell.data.n_test for cell in cells if cell.data is not None), default=0)
    guessing = floor(cells)
    if not accuracies or not images or guessing is None:
        return False
    from scipy import stats  # slow to import, and `--help` need not wait for it

    mean = statistics.fmean(accuracies)
    interval = stats.binomtest(round(mean * images), images).proportion_ci(_LEVEL, method="wilson")
    return mean <= guessing or float(interval.low) <= guessing


def is_followed(cells: Sequence[CellResult]) -> bool:
    """Whether it is known what they won in the last fifth of the epochs, so that `Outcome.rise` says something."""
    return any(_last_part(cell) for cell in cells)


def _last_part(cell: CellResult) -> tuple[float, float] | None:
    """Validation accuracy before the last fifth of the epochs, and at their end; None where that is not known."""
    if not cell.epochs or cell.data is None or cell.data.n_val == 0 or cell.config.epochs < _MIN_EPOCHS:
        return None
    before = [each for each in cell.epochs if each.epoch <= cell.config.epochs * (1 - _LAST_PART)]
    return (before[-1].val_accuracy, cell.epochs[-1].val_accuracy) if before else None


def _rise(cells: Sequence[CellResult], margin: float) -> float | None:
    rises, variance = [], 0.0
    for cell in cells:
        if cell.data is None or (known := _last_part(cell)) is None:
            continue
        rises.append(100 * (known[1] - known[0]))
        # As if the two were answers to different images: too large, so that nothing is called rising by chance.
        variance += 1e4 * sum(each * (1 - each) for each in known) / cell.data.n_val
    if not rises:
        return None
    mean, error = statistics.fmean(rises), math.sqrt(variance) / len(rises)
    return mean if mean > margin and mean > statistics.NormalDist().inv_cdf((1 + _LEVEL) / 2) * error else None
