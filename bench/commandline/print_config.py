"""`--print-config`: the value of every flag of a command, as TOML that `--config` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import tomlkit

from bench.commandline.config_file import file_flags
from bench.commandline.flags import ASSIGNMENT
from bench.planning.presets import WINNERS_KEY
from bench.planning.tuned import SEARCHED, Winners
from results.schema import CellConfig, PlannedCell


def config_as_toml(
    context: click.Context, cells: Sequence[PlannedCell], winners: Winners | None, **resolved: Any
) -> str:
    """The configuration from which the command makes the same plan again.

    A flag that was left out and differs between cells is left out here too; a comment says its values.

    Args:
        context: The command's, with the values given.
        cells: The plan.
        winners: The source of tuned hyperparameters.
        resolved: Values of parameters that neither the plan nor the command line has.
    """
    resolved |= {
        "methods": list(dict.fromkeys(cell.method for cell in cells)),
        "datasets": list(dict.fromkeys(cell.dataset for cell in cells)),
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
    }
    tuned = any(cell.config.tuning for cell in cells)
    document = tomlkit.document()
    for key, option in file_flags(context.command).items():
        name = option.name
        value = resolved.get(name, context.params.get(name))
        if name in CellConfig.model_fields:
            found = {getattr(cell.config, name) for cell in cells}
            if value is None and (len(found) > 1 or (tuned and name in SEARCHED)):
                document.add(tomlkit.comment(f"{key}: {_by_dataset(name, cells)}"))
            elif len(found) == 1:
                (value,) = found
        if option.metavar == ASSIGNMENT:
            table = tomlkit.inline_table()
            table.update(item.split("=", 1) for item in value or ())
            value = table
        if value is not None:
            document.add(key, tomlkit.item(str(value) if isinstance(value, Path) else value))
    if winners is not None:
        document.add(WINNERS_KEY, tomlkit.item(winners.of(cells)))
    return tomlkit.dumps(document)


def _by_dataset(name: str, cells: Sequence[PlannedCell]) -> str:
    """The values of a field that has several: `5 on digits; 3 (noprop), 4 (backprop) on mnist`."""
    values: dict[str, dict[Any, dict[str, None]]] = {}
    for cell in cells:
        by_value = values.setdefault(cell.dataset, {})
        by_value.setdefault(getattr(cell.config, name), {})[cell.method] = None
    texts = []
    for dataset, by_value in values.items():
        shown = [
            f"{value} ({', '.join(labels)})" if len(by_value) > 1 else f"{value}" for value, labels in by_value.items()
        ]
        texts.append(f"{', '.join(shown)} on {dataset}")
    return "; ".join(texts)
