"""A run arranged for reporting: by data set and method, in the order of `run.json`, failures apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from results.calibration import calibrate
from results.microbenchmarks import Microbenchmarks
from results.schema import CalibrationRecord, CellResult, PlannedCell, RunRecord
from results.sharing import placed, sharing
from results.store import ResultsError

REFERENCE = "backprop"
"""The method that the others are compared with."""
UNSTATED = "unstated"
"""How credit reaches the weights of a method of which no row says it, where rows of others do."""


@dataclass(frozen=True, slots=True)
class DatasetView:
    """The cells of one data set. Every planned method is a key of both mappings, in the order of the plan."""

    name: str
    planned: dict[str, int]
    """Cells that the run set out to do, by method."""
    finished: dict[str, list[CellResult]]
    """Cells with status `ok`, by method, in order of seed."""
    reference: str | None
    """The method that ratios are taken to: None where no finished cell is backprop's."""
    calibration: CalibrationRecord | None = None
    """How much a method differs from itself where all these cells ran; None where that is not known."""
    credits: dict[str, str] = field(default_factory=dict)
    """How credit reaches the weights, for every planned method; empty where no row of the run says it."""
    sharing: str | None = None
    """Why times of the run are not to be compared, as a clause; None where they are."""

    @property
    def groups(self) -> dict[str, list[str]]:
        """The planned methods by how credit reaches their weights, in the order of the plan; empty as `credits`."""
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
        """What is compared with the reference: the other methods with a finished cell; none without a reference."""
        return [] if self.reference is None else [method for method in self.drawn if method != self.reference]

    def shared_seeds(self, method: str) -> set[int]:
        """Seeds that the method and the reference both finished; none without a reference."""
        if self.reference is None:
            return set()
        ours, theirs = ({cell.seed for cell in self.finished[name]} for name in (method, self.reference))
        return ours & theirs

    @property
    def cells(self) -> Iterator[CellResult]:
        """Every finished cell of the data set."""
        return (cell for cells in self.finished.values() for cell in cells)


@dataclass(frozen=True, slots=True)
class MissingCell:
    """A planned cell without a usable result, and why."""

    dataset: str
    method: str
    seed: int
    reason: str


@dataclass(frozen=True, slots=True)
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
    """What the run itself shows of the machine, where that is its purpose."""
    microbenchmarks: Microbenchmarks | None = None
    """What one call of each method takes, where the run has been given that."""

    @property
    def methods(self) -> list[str]:
        """Every method of the run, in order of first occurrence."""
        return list(dict.fromkeys(method for dataset in self.datasets for method in dataset.finished))

    @property
    def cells(self) -> Iterator[CellResult]:
        """Every finished cell."""
        return (cell for dataset in self.datasets for cell in dataset.cells)

    @property
    def sharing(self) -> str | None:
        """Why times are not to be compared, as a clause: how cells shared machines; None where they did not."""
        return self.datasets[0].sharing if self.datasets else None


def arrange(record: RunRecord, cells: Iterable[CellResult], microbenchmarks: Microbenchmarks | None = None) -> RunView:
    """Sort a run's cells by data set, method and seed, and find what is missing."""
    results = {cell.key: cell for cell in cells}
    planned_keys = {cell.key for cell in record.cells}
    extra = [cell for cell in results.values() if cell.key not in planned_keys and cell.status == "ok"]

    planned: dict[str, dict[str, int]] = {}
    finished: dict[str, dict[str, list[CellResult]]] = {}
    everything: list[PlannedCell | CellResult] = [*record.cells, *extra]
    for cell in everything:
        of_dataset = planned.setdefault(cell.dataset, {})
        of_dataset[cell.method] = of_dataset.get(cell.method, 0) + 1
        of_method = finished.setdefault(cell.dataset, {}).setdefault(cell.method, [])
        result = results.get(cell.key)
        if result is not None and result.status == "ok":
            of_method.append(result)
    for methods in finished.values():
        for group in methods.values():
            group.sort(key=lambda cell: cell.seed)
    said = _credits(everything, results.values())
    shared = sharing(record, (cell for methods in finished.values() for group in methods.values() for cell in group))

    return RunView(
        record=record,
        datasets=[
            DatasetView(
                name,
                planned[name],
                methods,
                _reference(methods, record),
                _calibration(methods, record),
                {method: said[method] for method in methods if method in said},
                shared,
            )
            for name, methods in finished.items()
        ],
        missing=[
            MissingCell(cell.dataset, cell.method, cell.seed, _reason(results.get(cell.key)))
            for cell in record.cells
            if (result := results.get(cell.key)) is None or result.status != "ok"
        ],
        results=[results[cell.key] for cell in everything if cell.key in results],
        unplanned=len(extra),
        calibration=_own_calibration(record, results.values()),
        microbenchmarks=microbenchmarks,
    )


def by_seed(cells: Iterable[CellResult], field: str) -> dict[int, float]:
    """The values of one numeric field of `CellResult` by seed; cells where it is null are left out."""
    values = {cell.seed: getattr(cell, field) for cell in cells}
    return {seed: float(value) for seed, value in values.items() if value is not None}


def parse_utc(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC.

    Raises:
        ValueError: it is not an ISO 8601 time.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment(text: str) -> str:
    """An ISO 8601 time for people, to the minute; text that is none is left as it is."""
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
    """The run's calibration, if it is one of the machine and the settings with which every cell ran."""
    known = record.calibration
    cells = [cell for group in methods.values() for cell in group]
    return known if known and known.covers(cells) and placed(cells) is None else None


def _reference(methods: dict[str, list[CellResult]], record: RunRecord) -> str | None:
    if record.purpose == "calibration":
        return next((label for label, cells in methods.items() if cells), None)
    candidates = [label for label, cells in methods.items() if cells and cells[0].method_name == REFERENCE]
    return REFERENCE if REFERENCE in candidates else next(iter(candidates), None)


def _credits(cells: Iterable[PlannedCell | CellResult], results: Iterable[CellResult]) -> dict[str, str]:
    """How credit reaches the weights, by method as the user named it; empty where no result says it.

    It is the class's, so that any finished cell of the class says it for all, options or not.
    """
    said = {cell.method_name: cell.credit for cell in results if cell.credit is not None}
    return {cell.method: said.get(cell.method_name, UNSTATED) for cell in cells} if said else {}


def _reason(result: CellResult | None) -> str:
    if result is None:
        return "not run"
    return f"{result.status}: {result.error}" if result.error else result.status
