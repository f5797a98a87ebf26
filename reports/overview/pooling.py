"""Runs pooled into comparisons: all cells of a data set at a budget, whichever run they come from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from reports.formats.markdown import first_free, plural
from reports.overview.conditions import Conditions, conditions_of, label_of, step_of
from reports.overview.labels import is_old, relabelled
from reports.overview.sources import Source
from reports.published.paper import published
from reports.statistics.measures import ACTIVATIONS
from reports.statistics.questions import Findings, Judged, findings
from reports.view import FALLBACK, REFERENCE, DatasetView, arrange, parse_utc
from results.conditions import Environment
from results.race import DatasetRace, MethodRace
from results.schema import CellResult, PlannedCell, RunRecord

NO_RACE = "times come from races alone"


@dataclass(frozen=True, slots=True)
class MachineRace:
    """Training steps of a comparison's methods, timed on one machine, in one or more sittings."""

    machine: str
    runs: tuple[str, ...]
    race: DatasetRace

    @property
    def is_quiet(self) -> bool:
        """Whether no other program needed the cores; in a race of this kind all methods' pairs are alike in that."""
        return not any(each.beside_others for each in self.race.methods)


@dataclass(frozen=True, eq=False)
class Pool:
    """A comparison: a data set at a budget."""

    label: str
    conditions: Conditions
    data: DatasetView
    """Its race has the cells' number of threads, if one has, and is that of the machine that timed most methods; of
    several, a quiet one's, and of these the newest."""
    runs: dict[str, list[str]]
    """Names of the runs that each method's cells come from."""
    races: list[MachineRace] = field(default_factory=list)
    replaced: int = 0
    """Finished cells that a newer run has again, with the same method and seed."""
    without_memory: int = 0
    """Cells whose memory is left out, since their layers hold something else than the reference's."""

    @property
    def name(self) -> str:
        """The label inside a sentence: `digits (20 epochs)`."""
        dataset, _, budget = self.label.partition(", ")
        return f"{dataset} ({budget})" if budget else dataset

    @cached_property
    def found(self) -> Findings:
        """Every method against the reference; memory is that of activations."""
        return findings(self.data, ACTIVATIONS)

    @property
    def steps(self) -> int | None:
        """Training steps of a cell; None where a row does not say on how many images it was trained."""
        cell = self.data.cells[0]
        if cell.data is None:
            return None
        return math.ceil(cell.data.n_train / cell.config.batch_size) * cell.config.epochs

    @property
    def is_comparison(self) -> bool:
        """Whether there is a reference and another method that shares a seed with it."""
        return any(row.accuracy is not None for row in self.found.rows)

    @property
    def all_runs(self) -> list[str]:
        """Names of all runs in it."""
        return list(dict.fromkeys(run for runs in self.runs.values() for run in runs))

    def name_of(self, method: str) -> str:
        """The registry's name of a method in it."""
        return self.data.finished[method][0].method_name

    def options_of(self, method: str) -> Mapping[str, Any]:
        """The options of a method in it."""
        return self.data.finished[method][0].config.options

    def against(self, method: str, other: str) -> Judged | None:
        """The difference in accuracy between two of its methods, as one comparison; None without a shared seed."""
        cells = {name: self.data.finished[name] for name in (other, method)}
        counts = {name: len(group) for name, group in cells.items()}
        pair = dataclasses.replace(self.data, finished=cells, planned=counts, reference=other, race=None)
        return findings(pair, ACTIVATIONS).of(method).accuracy


def pool(sources: Iterable[Source]) -> list[Pool]:
    """Pool the cells of all runs, small images first, and the longest training of a data set before shorter ones."""
    sources = relabelled(list(sources))
    by_conditions: dict[Conditions, list[tuple[Source, CellResult]]] = {}
    pairs = [(source, cell) for source in sources for cell in source.cells]
    for source, cell in sorted(pairs, key=lambda pair: parse_utc(pair[1].started_at)):
        by_conditions.setdefault(conditions_of(cell), []).append((source, cell))
    pools: list[Pool] = []
    ordered = sorted(by_conditions.items(), key=lambda item: _place(item[0], item[1][0][1]))
    for conditions, cells in ordered:
        taken = {each.label for each in pools}
        label = first_free(label_of(conditions, cells[0][1]), taken)
        pools.append(_pool(label, conditions, cells, sources))
    return pools


def _place(conditions: Conditions, cell: CellResult) -> tuple[object, ...]:
    channels, height, width = cell.data.shape if cell.data is not None else (0, 0, 0)
    images = cell.data.n_train if cell.data is not None else 0
    settings = conditions.by_name
    is_odd = conditions.search is not None, settings["amp"]
    return (channels * height * width, conditions.dataset, -images, -settings["epochs"], *is_odd, str(conditions))


def _pool(label: str, conditions: Conditions, cells: list[tuple[Source, CellResult]], sources: list[Source]) -> Pool:
    newest: dict[tuple[str, int], tuple[Source, CellResult]] = {}
    for source, cell in sorted(cells, key=lambda each: each[1].config.parallel is None):  # one process says more
        newest.pop((cell.method, cell.seed), None)
        newest[cell.method, cell.seed] = source, cell
    kept = list(newest.values())
    runs: dict[str, list[str]] = {}
    for source, cell in kept:
        if source.name not in runs.setdefault(cell.method, []):
            runs[cell.method].append(source.name)
    latest = max((source.record for source, _ in kept), key=lambda record: parse_utc(record.created_at))
    data = _arranged(latest, [cell for _, cell in kept])
    alike = _memory_alike(data)
    data = _arranged(latest, alike)
    races = _races(data, sources)
    threads = {cell.config.threads for cell in data.finished.get(data.reference or "", [])}
    main = max(races, key=lambda race: _worth(race, threads), default=None)
    data = dataclasses.replace(data, race=main.race if main else None)
    without_memory = sum(cell.activation_bytes is not None for _, cell in kept)
    without_memory -= sum(cell.activation_bytes is not None for cell in alike)
    return Pool(label, conditions, data, runs, races, len(cells) - len(kept), without_memory)


def _worth(race: MachineRace, threads: set[int]) -> tuple[bool, int, bool, datetime]:
    """A race is better on the cells' threads, with more methods, on a quiet machine, and newer, in this order."""
    return race.race.threads in threads, len(race.race.methods), race.is_quiet, parse_utc(race.race.started_at)


def _arranged(latest: RunRecord, cells: list[CellResult]) -> DatasetView:
    (data,) = arrange(_record(latest, cells), cells).datasets
    return dataclasses.replace(data, reference=_reference(data), sharing=NO_RACE, calibration=None)


def _memory_alike(data: DatasetView) -> list[CellResult]:
    """The cells, without the memory of those whose layers hold something else than the reference's newest cell's."""
    if data.reference is None:
        return data.cells

    def layers(cell: CellResult) -> str:
        return "pytorch" if cell.execution == "together" else cell.environment.layers or "pytorch"

    newest = max(data.finished[data.reference], key=lambda cell: parse_utc(cell.started_at))
    nothing: dict[str, Any] = dict.fromkeys(("activation_bytes", "activation_bytes_in_turn", "rss_rise_bytes"))
    nothing["activation_bytes_by_T"] = {}
    return [cell if layers(cell) == layers(newest) else cell.model_copy(update=nothing) for cell in data.cells]


def _reference(data: DatasetView) -> str | None:
    """The method without options, else the one of the paper's depth, else the first; the plain CNN without backprop."""
    cells = {method: data.finished[method][0] for method in data.drawn}
    for name in (REFERENCE, FALLBACK):
        depth = (published().training_of(name) or published().training[0]).options.get("T")
        labels = [method for method, cell in cells.items() if cell.method_name == name]
        if labels:
            return min(labels, key=lambda m: _rank(m, name, cells[m].config.options, depth))
    return None


def _rank(method: str, name: str, options: Mapping[str, Any], depth: object) -> tuple[bool, bool, bool]:
    return is_old(options), method != name, options.get("T") != depth


def _record(latest: RunRecord, cells: list[CellResult]) -> RunRecord:
    """A record as if one run had planned exactly these cells."""
    planned = [
        PlannedCell(dataset=c.dataset, method=c.method, method_name=c.method_name, seed=c.seed, config=c.config)
        for c in cells
    ]
    return RunRecord(
        run_id="pooled", created_at=latest.created_at, command=latest.command, margins=latest.margins, cells=planned
    )


def _races(data: DatasetView, sources: list[Source]) -> list[MachineRace]:
    """Races of the same training steps against the same reference, by machine; of a method, the newest.

    Those beside other programs, where threads wait in another way, stand apart as if they were another machine's.
    """
    if data.reference is None:
        return []
    step = step_of(data.name, data.finished[data.reference][0].config)
    wanted = {method: cells[0].config.options for method, cells in data.finished.items() if cells}
    by_machine: dict[str, tuple[list[str], DatasetRace, dict[str, MethodRace]]] = {}
    sat = [
        (parse_utc(race.started_at), source, race)
        for source in sources
        if source.race is not None and (race := source.race.of(data.name)) is not None
    ]
    for _, source, race in sorted(sat, key=lambda each: each[0]):
        planned = {cell.method: cell.config for cell in source.record.cells if cell.dataset == data.name}
        alike = {
            method
            for method, config in planned.items()
            if step_of(data.name, config) == step and _is_same(config.options, wanted.get(method))
        }
        if race.reference != data.reference or race.reference not in alike:
            continue
        for beside, machine in ((False, _machine(race)), (True, f"{_machine(race)}, beside other programs")):
            timed = {
                each.method: each for each in race.methods if each.method in alike and each.beside_others == beside
            }
            if timed:
                runs, _, methods = by_machine.setdefault(machine, ([], race, {}))
                runs.append(source.name)
                methods.update(timed)
                by_machine[machine] = runs, race, methods
    return [
        MachineRace(machine, tuple(runs), race.model_copy(update={"methods": list(methods.values())}))
        for machine, (runs, race, methods) in by_machine.items()
    ]


def _is_same(options: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether options agree in all that both have; what only newer code has was built in before."""
    return wanted is not None and all(options[key] == wanted[key] for key in options.keys() & wanted.keys())


def machine_of(device: str, environment: Environment) -> str:
    """The processor that computed: the GPU, or the CPU."""
    return environment.processor if device.startswith("cpu") or not environment.gpu else environment.gpu


def _machine(race: DatasetRace) -> str:
    name = machine_of(race.device, race.environment)
    if name != race.environment.processor:
        return name
    return f"{name} ({plural(race.threads, 'thread')} of {plural(race.environment.cores, 'core')})"
