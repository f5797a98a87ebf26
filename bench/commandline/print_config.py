"""`--print-config`: every flag of a command with the value it comes to, as TOML that `--config` takes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import tomlkit

from bench.commandline.config_file import ASSIGNMENT, WINNERS_KEY, settings_of
from bench.planning.tuned import SEARCHED, Winners
from results.schema import CellConfig, PlannedCell


def config_as_toml(
    context: click.Context, cells: Sequence[PlannedCell], winners: Winners | None, **resolved: Any
) -> str:
    """The configuration from which the command makes the same plan again.

    Args:
        context: The command's, with what it was given.
        cells: The plan.
        winners: From which tuned cells have their hyperparameters.
        resolved: What parameters came to that neither the plan nor the command line says.

    Returns:
        TOML. What was left open and is not the same for all cells stays open, and a comment says what it came to.
    """
    resolved |= {
        "methods": list(dict.fromkeys(cell.method for cell in cells)),
        "datasets": list(dict.fromkeys(cell.dataset for cell in cells)),
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
    }
    document = tomlkit.document()
    for key, param in settings_of(context.command):
        value = resolved.get(param.name, context.params.get(param.name))
        if param.name in CellConfig.model_fields:
            found = _distinct(getattr(cell.config, param.name) for cell in cells)
            if value is None and (len(found) > 1 or _is_searched(param.name, cells)):
                document.add(tomlkit.comment(f"{key}: {_by_dataset(param.name, cells)}"))
            elif len(found) == 1 and isinstance(found[0], bool | int | float | str):
                value = found[0]
        if value is not None:
            document.add(key, tomlkit.item(_plain(param, value)))
    if winners is not None:
        document.add(WINNERS_KEY, tomlkit.item(winners.of(cells)))
    return tomlkit.dumps(document)


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, those that cannot be hashed, too."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _is_searched(name: str, cells: Sequence[PlannedCell]) -> bool:
    return name in SEARCHED and any(cell.config.tuning for cell in cells)


def _by_dataset(name: str, cells: Sequence[PlannedCell]) -> str:
    """What a field is where it is not one value for all: `5 on digits; 3 (noprop), 4 (backprop) on mnist`."""
    values: dict[str, dict[Any, dict[str, None]]] = {}
    for cell in cells:
        by_value = values.setdefault(cell.dataset, {})
        by_value.setdefault(getattr(cell.config, name), {})[cell.method] = None
    texts = []
    for dataset, by_value in values.items():
        one = len(by_value) == 1
        shown = [str(value) if one else f"{value} ({', '.join(labels)})" for value, labels in by_value.items()]
        texts.append(f"{', '.join(shown)} on {dataset}")
    return "; ".join(texts)


def _plain(param: click.Option, value: Any) -> Any:
    """A parameter's value in TOML's types."""
    if isinstance(value, Path):
        return str(value)
    if param.metavar == ASSIGNMENT:
        table = tomlkit.inline_table()
        table.update(value if isinstance(value, Mapping) else dict(item.split("=", 1) for item in value))
        return table
    return list(value) if isinstance(value, tuple) else value
