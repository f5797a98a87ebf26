"""Labels of old runs, as today's defaults would have them: a label names what differs from the default."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from reports.overview.sources import Source
from reports.view import parse_utc
from results.race import DatasetRace, RaceRecord
from results.schema import CellResult, PlannedCell

_Cell = TypeVar("_Cell", PlannedCell, CellResult)

DEFAULTS = {"features": "flatten", "head_scale": 10.0}
"""Today's defaults of options that had another: where a data set has rows with both, these come first."""
_ONE_POSITION = 16
"""Images with shorter sides than that, halved three times, end as one position: there all values of `features` are the
same function."""


def is_old(options: Mapping[str, Any]) -> bool:
    """Whether an option has a value that was the default once and is no longer."""
    return any(options.get(name, value) != value for name, value in DEFAULTS.items())


def relabelled(sources: Sequence[Source]) -> list[Source]:
    """Runs with every option in their labels that differs from the newest cell's of the plain method, and no other.

    Of an option with another default than once, what differs from today's is named, and what was given by name stays.
    What a search found is a method's own on each data set, so tuned cells are left as they are.
    """
    sources = [_as_today(source) for source in sources]
    cells = sorted((cell for source in sources for cell in source.cells), key=lambda cell: parse_utc(cell.started_at))
    newest = {cell.method: cell.config.options for cell in cells if cell.config.tuning is None}

    def label(cell: PlannedCell | CellResult) -> str:
        name, bracket, rest = cell.method.partition("[")
        options = cell.config.options
        now = {**(newest.get(name) or newest.get(cell.method, {})), **DEFAULTS}
        if cell.config.tuning is not None:
            return cell.method
        said = {part.partition("=")[0]: part for part in rest.removesuffix("]").split(",")} if bracket else {}
        old = [key for key in options if key in now and options[key] != now[key] and key not in said]
        parts = [f"{key}={_text(options[key])}" for key in old]
        plain = {key: value for key, value in newest.get(name, {}).items() if key not in DEFAULTS}
        parts += [part for key, part in said.items() if key not in plain or options.get(key) != plain[key]]
        return f"{name}[{','.join(parts)}]" if parts else name

    def with_labels(source: Source) -> Source:
        names = {(cell.dataset, cell.method): label(cell) for cell in source.record.cells}

        def renamed(cell: _Cell) -> _Cell:
            trained_with = cell.trained_with and names.get((cell.dataset, cell.trained_with), cell.trained_with)
            return cell.model_copy(update={"method": label(cell), "trained_with": trained_with})

        return dataclasses.replace(
            source,
            record=source.record.model_copy(update={"cells": [renamed(cell) for cell in source.record.cells]}),
            cells=[renamed(cell) for cell in source.cells],
            race=_renamed(source.race, names),
        )

    return [with_labels(source) for source in sources]


def _renamed(race: RaceRecord | None, names: Mapping[tuple[str, str], str]) -> RaceRecord | None:
    """A race with the labels that its run's methods have now, by data set and former label."""
    if race is None:
        return None

    def renamed(sitting: DatasetRace) -> DatasetRace:
        def now(method: str) -> str:
            return names.get((sitting.dataset, method), method)

        methods = [each.model_copy(update={"method": now(each.method)}) for each in sitting.methods]
        failed = {now(method): why for method, why in sitting.failed.items()}
        reference = now(sitting.reference)
        return sitting.model_copy(update={"methods": methods, "failed": failed, "reference": reference})

    return race.model_copy(update={"datasets": [renamed(sitting) for sitting in race.datasets]})


def _as_today(source: Source) -> Source:
    """A run with today's default of an option that acts on nothing on its images, where its label does not name it."""
    small = {cell.dataset for cell in source.cells if cell.data and max(cell.data.shape[1:]) < _ONE_POSITION}

    def renamed(cell: _Cell) -> _Cell:
        options = cell.config.options
        if cell.dataset not in small or "features=" in cell.method or "features" not in options:
            return cell
        config = cell.config.model_copy(update={"options": options | {"features": DEFAULTS["features"]}})
        return cell.model_copy(update={"config": config})

    record = source.record.model_copy(update={"cells": [renamed(cell) for cell in source.record.cells]})
    return dataclasses.replace(source, record=record, cells=[renamed(cell) for cell in source.cells])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
