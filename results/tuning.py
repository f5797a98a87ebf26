"""How a method's hyperparameters were found, and what was found: the records of a search."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from results.record import Augment, Count, Fraction, Record

TUNED = "tuned"
"""Word in the brackets of a method's label: with the hyperparameters that a search has found."""


def untuned(label: str) -> str:
    """The label of the same method without that word."""
    return label.replace(f"[{TUNED}]", "").replace(f",{TUNED}]", "]")


class TuningRecord(Record):
    """A search in which every method had the same number of trials, judged by validation accuracy alone."""

    study: str
    """The file that holds all trials, as the search was given it."""
    found_at: str
    """When its last trial ended, UTC, ISO 8601."""
    commit: str | None = None
    """The project's commit at which the winner was tried."""
    sampler: str
    """Optuna's class that proposed what to try."""
    trials: Annotated[int, Field(ge=1)]
    """The budget: trials that ended, well or not. The first is the method at its defaults."""
    failed: Count = 0
    """How many of them ended without an accuracy."""
    space: Annotated[dict[str, str], Field(min_length=1)]
    """What was searched and where, in words: `lr` is `0.0001 to 0.01, log`."""
    seed: Count
    """Of every trial's training, and of the sampler."""
    epochs: Annotated[int, Field(ge=1)]
    """Of every trial; likewise all up to `trial`."""
    batch_size: Annotated[int, Field(ge=2)]
    train_size: Annotated[int, Field(ge=1)] | None = None
    """Null: all that are left after the validation part is held out."""
    optimizer: str = "AdamW"
    amp: bool = False
    augment: Augment = "none"
    trial: Count
    """The winner's number, from 0: the earliest of those with the highest validation accuracy."""
    val_accuracy: Fraction
    """The winner's."""
    default_val_accuracy: Fraction | None = None
    """That of the defaults; null where their trial failed."""

    @property
    def budget(self) -> tuple[object, ...]:
        """What methods must share for their searches to be alike."""
        shared = (self.trials, self.seed, self.sampler, self.epochs, self.batch_size, self.train_size)
        return (*shared, self.optimizer, self.amp, self.augment)

    def __str__(self) -> str:
        return f"trial {self.trial + 1} of {self.trials} in {self.study}, found {self.found_at}"


class Winner(Record):
    """The best hyperparameters that a search found for a method on a data set."""

    lr: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    options: dict[str, Any] = Field(default_factory=dict)
    """The searched options of the method."""
    tuning: TuningRecord
