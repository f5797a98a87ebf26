"""A race on disk: training steps of each method timed in turns with the reference's, after the cells of a run.

RUN/race.json      `RaceRecord`, replaced after each data set
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from results.conditions import SCHEMA_VERSION, AtLeastOne, Count, Environment, Positive, Record, Version
from results.past_names import ByMethod, MethodLabel
from results.store import read_record, write_record

RACE_FILE = "race.json"
"""In a run's folder."""


class MethodRace(Record):
    """Pairs of turns, one of the method and one of the reference right before or after it.

    Of every two pairs in a row the first is the one in which the method's turn came first.
    """

    method: MethodLabel
    """As in `CellResult.method`."""
    steps: AtLeastOne
    """Training steps in each of the method's turns."""
    reference_steps: AtLeastOne
    seconds: Annotated[list[Positive], Field(min_length=1)]
    """Per training step of the method, by pair."""
    reference_seconds: Annotated[list[Positive], Field(min_length=1)]
    """Per training step of the reference in the same pair."""
    rounds: list[Count] = Field(default_factory=list)
    """Pairs in each round, one round after another: each had new processes of both. The method began in the first, the
    reference in the second, and so on. Older files do not say."""
    beside_others: bool = False
    """Whether other programs needed the cores in these pairs, so that threads waited without spinning."""
    left_out: Count = 0
    """Pairs that do not count: of the other kind, or taken just before a neighbour was noticed."""

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.seconds) != len(self.reference_seconds):
            raise ValueError("there are not as many turns of the reference as of the method")
        if self.rounds and sum(self.rounds) != len(self.seconds):
            raise ValueError("the rounds do not have as many pairs as there are")
        return self


class DatasetRace(Record):
    """Every method of a data set that was timed, all in one sitting."""

    dataset: str
    reference: MethodLabel
    """The label of the method that the others were timed against."""
    seed: int
    """Of all cells whose steps were timed."""
    threads: AtLeastOne
    device: str
    batch_size: AtLeastOne
    started_at: str
    """UTC, ISO 8601."""
    environment: Environment
    methods: list[MethodRace]
    failed: ByMethod[str] = Field(default_factory=dict)
    """Methods that could not be timed, and why in one line."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [each.method for each in self.methods] + [*self.failed]
        if len(set(names)) < len(names):
            raise ValueError("a method was timed twice")
        return self


class RaceRecord(Record):
    """`race.json`."""

    schema_version: Version = SCHEMA_VERSION
    run_id: str
    datasets: list[DatasetRace]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [each.dataset for each in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError("a data set is there twice")
        return self

    def of(self, dataset: str) -> DatasetRace | None:
        """The race on a data set, if there was one."""
        return next((each for each in self.datasets if each.dataset == dataset), None)


def read_race(run: Path) -> RaceRecord | None:
    """Read and validate a run's race; None if there is none.

    Raises:
        ResultsError: it is damaged or of another version.
    """
    path = run / RACE_FILE
    if not path.exists():
        return None
    advice = "; delete it, and race again with python -m bench.race RUN"
    return read_record(path, RaceRecord, "is not a valid race", advice)


def write_race(run: Path, record: RaceRecord) -> None:
    """Write a run's race in place of an earlier one.

    Raises:
        ResultsError: it cannot be written.
    """
    write_record(run / RACE_FILE, record)
