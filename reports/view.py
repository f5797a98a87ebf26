"""A run arranged for reporting: by data set and method, in the order of `run.json`, failures apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

from results.calibration import calibrate
from results.microbenchmarks import Microbenchmarks
from results.race import DatasetRace, RaceRecord
from results.schema import CalibrationRecord, CellResult, Margins, PlannedCell, RunRecord
from results.sharing import placed, sharing
from results.store import ResultsError

REFERENCE = "backprop"
"""The method that the others are compared with."""
FALLBACK = "backprop-plain"
"""What they are compared with where a run has no `backprop`: its network is the one that most other rules train."""


class Family(StrEnum):
    """What a method stands for in the comparison; the report's tables and colours go by it."""

    NOPROP = "NoProp"
    BACKPROP = "backprop"
    OTHER = "other training rules"


UNSTATED = "unstated"
"""Credit assignment of a method for which no row states it, while rows of others do."""
WHOLE_NETWORK = "gradients through the whole network"
"""Credit assignment of backpropagation."""
NOT_RUN = "not run"


@dataclass(frozen=True, eq=False)
class DatasetView:
    """The cells of one data set. Every planned method is a key of both mappings, in the order of the plan."""

    name: str
    planned: dict[str, int]
    """Cells that the run set out to do, by method."""
    finished: dict[str, list[CellResult]]
    """Cells with status `ok`, by method, in order of seed."""
    reference: str | None
    """The method that the others are compared with; None if no cell of it has finished."""
    calibration: CalibrationRecord | None = None
    """How much a method differs from itself where all these cells ran; None where that is not known."""
    credits: dict[str, str] = field(default_factory=dict)
    """Credit assignment of every planned method; empty if no row of the run states it."""
    sharing: str | None = None
    """Why times of the run must not be compared, as a clause; None if they may."""
    race: DatasetRace | None = None
    """Training steps of the methods timed against the reference's; None if that was not done, or against another."""
    margins: Margins = field(default_factory=Margins)
    """What counts as no difference, declared before the run."""
    figures: dict[str, str] = field(default_factory=dict)
    """Markdown of the figures by name; `build` draws them."""

    @cached_property
    def families(self) -> dict[str, Family]:
        """The family of every planned method."""
        return {method: family_of(method, self.credits.get(method, UNSTATED)) for method in self.finished}

    @property
    def groups(self) -> dict[str, list[str]]:
        """The planned methods by credit assignment, in the order of the plan; empty if `credits` is."""
        found: dict[str, list[str]] = {}
        for method, credit in self.credits.items():
            found.setdefault(credit, []).append(method)
        return found

    @property
    def drawn(self) -> list[str]:
        """Methods with at least one finished cell."""
        return [method for method, cells in self.finished.items() if cells]

    @property
    def rivals(self) -> list[str]:
        """The other methods with a finished cell; none without a reference."""
        return [] if self.reference is None else [method for method in self.drawn if method != self.reference]

    @property
    def shared_trainings(self) -> list[list[str]]:
        """Methods that are several inferences of one training per seed, together."""
        found: dict[str, list[str]] = {}
        for method in self.drawn:
            found.setdefault(self.finished[method][0].trained_with or method, []).append(method)
        return [methods for methods in found.values() if len(methods) > 1]

    def shared_seeds(self, method: str) -> set[int]:
        """Seeds that the method and the reference both finished; none without a reference."""
        if self.reference is None:
            return set()
        ours, theirs = ({cell.seed for cell in self.finished[name]} for name in (method, self.reference))
        return ours & theirs

    @cached_property
    def cells(self) -> list[CellResult]:
        """Every finished cell of the data set."""
        return [cell for cells in self.finished.values() for cell in cells]


@dataclass(frozen=True, slots=True)
class MissingCell:
    """A planned cell without a usable result, and why."""

    dataset: str
    method: str
    seed: int
    reason: str


@dataclass(frozen=True, eq=False)
class RunView:
    """What the report says, before it is put in words."""

    record: RunRecord
    datasets: list[DatasetView]
    missing: list[MissingCell]
    results: list[CellResult]
    """Every result, failures too, in the order of the plan."""
    unplanned: int
    """Finished cells that `run.json` does not name. They are reported like the others, after them."""
    calibration: CalibrationRecord | None
    """What the run itself shows of the machine, if that is its purpose."""
    sharing: str | None
    """Why times must not be compared, as a clause; None if they may."""
    microbenchmarks: Microbenchmarks | None = None
    race: RaceRecord | None = None
    """What one call of each method takes, if the run's folder has a session of them."""

    @property
    def methods(self) -> list[str]:
        """Every method of the run, in order of first occurrence."""
        return list(dict.fromkeys(method for dataset in self.datasets for method in dataset.finished))

    def planned_reference(self, dataset: str) -> str | None:
        """Registered name of the method that the others on a data set were to be compared with; None: none was planned.

        Where it is known, but `DatasetView.reference` is None, no cell of it has finished.
        """
        names = {cell.method_name for cell in self.record.cells if cell.dataset == dataset}
        name = reference_name(names)
        return name if name in names else None

    @cached_property
    def cells(self) -> list[CellResult]:
        """Every finished cell."""
        return [cell for dataset in self.datasets for cell in dataset.cells]


def arrange(
    record: RunRecord,
    cells: Iterable[CellResult],
    microbenchmarks: Microbenchmarks | None = None,
    race: RaceRecord | None = None,
) -> RunView:
    """Sort a run's cells by data set, method and seed, and find what is missing."""
    results = {cell.key: cell for cell in cells}
    planned_keys = {cell.key for cell in record.cells}
    extra = [cell for cell in results.values() if cell.key not in planned_keys and cell.status == "ok"]
    planned: dict[str, Counter[str]] = {}
    finished: dict[str, dict[str, list[CellResult]]] = {}
    everything: list[PlannedCell | CellResult] = [*record.cells, *extra]
    for cell in everything:
        planned.setdefault(cell.dataset, Counter())[cell.method] += 1
        of_method = finished.setdefault(cell.dataset, {}).setdefault(cell.method, [])
        result = results.get(cell.key)
        if result is not None and result.status == "ok":
            of_method.append(result)
    groups = [group for methods in finished.values() for group in methods.values()]
    for group in groups:
        group.sort(key=lambda cell: cell.seed)
    credit = _credits(everything, results.values())
    shared = sharing(record, (cell for group in groups for cell in group))
    return RunView(
        record=record,
        datasets=[
            DatasetView(
                name,
                planned[name],
                methods,
                reference := _reference(name, methods, record),
                _calibration(methods, record),
                {method: credit[method] for method in methods if method in credit},
                shared,
                _race(race, name, reference),
                record.margins,
            )
            for name, methods in finished.items()
        ],
        missing=[
            MissingCell(cell.dataset, cell.method, cell.seed, _reason(result))
            for cell in record.cells
            if (result := results.get(cell.key)) is None or result.status != "ok"
        ],
        results=[results[cell.key] for cell in everything if cell.key in results],
        unplanned=len(extra),
        calibration=_own_calibration(record, results.values()),
        sharing=shared,
        microbenchmarks=microbenchmarks,
        race=race,
    )


def family_of(method: str, credit: str) -> Family:
    """The family of a method, by its label and its credit assignment; the label alone where no row states that."""
    whole = credit == WHOLE_NETWORK if credit != UNSTATED else method.startswith(("backprop", "noprop-attached"))
    if whole or method.startswith("backprop"):
        return Family.BACKPROP
    return Family.NOPROP if method.startswith("noprop") else Family.OTHER


def reference_name(names: Collection[str]) -> str:
    """The registered name of the method that the others are compared with, by the names that were planned."""
    return FALLBACK if FALLBACK in names and REFERENCE not in names else REFERENCE


def choose_reference(names: Mapping[str, str], name: str | None = None) -> str | None:
    """The label of the method that the others are compared with, the one without options if there are two.

    Args:
        names: Registered names by label.
        name: the registered name of that method; by default `reference_name`'s.
    """
    name = name or reference_name(names.values())
    candidates = [label for label, registered in names.items() if registered == name]
    return name if name in candidates else next(iter(candidates), None)


def parse_utc(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC.

    Raises:
        ValueError: it is not an ISO 8601 time.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment(text: str) -> str:
    """An ISO 8601 time for people, to the minute; any other text is returned as it is."""
    try:
        return f"{parse_utc(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def _own_calibration(record: RunRecord, results: Iterable[CellResult]) -> CalibrationRecord | None:
    if record.purpose != "calibration":
        return None
    try:
        return calibrate(record, results)
    except ResultsError:
        return None


def _calibration(methods: dict[str, list[CellResult]], record: RunRecord) -> CalibrationRecord | None:
    """The run's calibration, if it applies to the machine and the settings of every cell."""
    known = record.calibration
    cells = [cell for group in methods.values() for cell in group]
    return known if known and known.covers(cells) and placed(cells) is None else None


def _race(race: RaceRecord | None, dataset: str, reference: str | None) -> DatasetRace | None:
    found = race.of(dataset) if race else None
    return found if found and found.reference == reference else None


def _reference(dataset: str, methods: dict[str, list[CellResult]], record: RunRecord) -> str | None:
    """By the plan, so that it is the same method before and after its cells have finished."""
    if record.purpose == "calibration":
        return next((label for label, cells in methods.items() if cells), None)
    finished = {label: cells[0].method_name for label, cells in methods.items() if cells}
    planned = {cell.method_name for cell in record.cells if cell.dataset == dataset}
    return choose_reference(finished, reference_name(planned | set(finished.values())))


def _credits(cells: Iterable[PlannedCell | CellResult], results: Iterable[CellResult]) -> dict[str, str]:
    """Credit assignment by method as the user named it; empty if no result states it.

    It belongs to the method's class, so one finished cell of the class states it for all, whatever their options.
    """
    said = {cell.method_name: cell.credit for cell in results if cell.credit is not None}
    return {cell.method: said.get(cell.method_name, UNSTATED) for cell in cells} if said else {}


def _reason(result: CellResult | None) -> str:
    if result is None:
        return NOT_RUN
    return f"{result.status}: {result.error}" if result.error else result.status
