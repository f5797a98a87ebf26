"""What a resumed run may be given: the same settings as before, or none at all."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import methods
from bench import datasets
from bench.errors import UserError
from bench.planning.method_spec import parse_methods, parse_settings
from bench.planning.plan import resolve_device
from bench.planning.presets import CORE, PAPER
from bench.planning.tuned import Winners
from methods.core.options import split_brackets, to_text
from results.conditions import untuned
from results.schema import CellConfig, CellResult, Margins, PlannedCell, RunRecord, name_of
from results.sharing import jobs_here

_UNCHANGED = ("retries", "race", "checkpoint_every")
OF_THE_RUN = {"save": "save_models", "timeout": "timeout_seconds"} | {name: name for name in _UNCHANGED}
"""Flags of a run as a whole, and the fields of `RunRecord` that they set."""

MARGINS = {"margin_accuracy": ("accuracy_points", 1), "margin_time": ("time", 100), "margin_memory": ("memory", 100)}
"""Flags that set a field of `Margins`, and how many of the flag's units are one of the field's."""

_WHAT_METHODS = ("methods", "settings", "low_memory")
"""Together they decide what the methods are."""


def check_settings(
    record: RunRecord, given: Mapping[str, Any], winners: Winners | None = None, *, is_remote: bool = False
) -> None:
    """Refuse settings that are not the run's own.

    Args:
        record: The run.
        given: What was given besides `--resume`, by the names of the parameters of `bench.run`.
        winners: The tuned hyperparameters given.
        is_remote: Whether cells may run on other machines, any number at a time.

    Raises:
        UserError: something differs; all that does is named.
    """
    differing = []
    for flag, ours, theirs in _compared(record, given, winners, is_remote):
        if ours != theirs:
            differing.append(f"--{flag.replace('_', '-')} (the run has {_text(ours)}, given is {_text(theirs)})")
    if differing:
        raise UserError(
            f"a resumed run keeps its settings, and these differ: {'; '.join(differing)}: leave them out, or start a "
            "new run without --resume"
        )


def margins_of(given: Mapping[str, float]) -> Margins:
    """The margins that the flags give: points of accuracy, percents of time and memory."""
    return Margins(**{field: given[flag] / unit for flag, (field, unit) in MARGINS.items()})


def moved_to(record: RunRecord, given: Iterable[str]) -> Path | None:
    """Where the run's own data are now, if the data sets given are the run's but for their place.

    That is the folder they are in or, for one that was renamed, the data themselves.

    Raises:
        UserError: one of them cannot be used.
    """
    ours = dict.fromkeys(cell.dataset for cell in record.cells)
    theirs = [datasets.get(each).name for each in given]
    if len(ours) != len(theirs):
        return None
    new = [name.partition(":") for name in theirs if name not in ours]
    old = [name.partition(":") for name in ours if name not in theirs]
    if all(any(each[0] == scheme and Path(each[2]).name == Path(path).name for each in old) for scheme, _, path in new):
        folders = {Path(path).parent for _, _, path in new}
        return folders.pop() if len(folders) == 1 else None
    if len(new) == 1:
        (path, options), (_, before) = split_brackets(new[0][2]), split_brackets(old[0][2])
        if new[0][:2] == old[0][:2] == (new[0][0], ":") and options == before:
            return Path(path)
    return None


def unfinished(run: Path, record: RunRecord, rows: Iterable[CellResult]) -> list[PlannedCell]:
    """The planned cells without a row with status ok, and those that share their training, in the plan's order.

    Raises:
        UserError: a finished cell ran with another configuration than is planned now.
    """
    done = {cell.key: cell for cell in rows if cell.status == "ok"}
    for cell in record.cells:
        if cell.key in done and (fields := differing_fields(cell.config, done[cell.key].config)):
            raise UserError(
                f"the configuration of {name_of(cell)} in {run} was changed after it had run (differing: "
                f"{', '.join(fields)}): put run.json back as it was, or start a new run without --resume"
            )
    missing = {cell.training for cell in record.cells if cell.key not in done}
    return [cell for cell in record.cells if cell.training in missing]


def differing_fields(one: CellConfig, other: CellConfig) -> list[str]:
    """The names of the fields in which two configurations differ; options as `options.T`."""
    fields = []
    for name in CellConfig.model_fields:
        ours, theirs = getattr(one, name), getattr(other, name)
        if name == "options":
            fields += [f"options.{key}" for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        elif ours != theirs:
            fields.append(name)
    return fields


def _compared(
    record: RunRecord, given: Mapping[str, Any], winners: Winners | None, is_remote: bool
) -> Iterator[tuple[str, Any, Any]]:
    """Each setting given: its flag, the run's value and the given one. Lists as sets: their order decides nothing."""
    cells = record.cells
    for name, value in given.items():
        if name in OF_THE_RUN:
            yield name, getattr(record, OF_THE_RUN[name]), value
        elif name in MARGINS:
            field, unit = MARGINS[name]
            yield name, getattr(record.margins, field) * unit, value / unit * unit
        elif name == "jobs":
            if not is_remote:
                yield name, jobs_here(record), value
        elif name == "datasets":
            yield name, {cell.dataset for cell in cells}, {datasets.get(each).name for each in value}
        elif name == "seeds":
            yield name, {cell.seed for cell in cells}, set(value)
        elif name == "device":
            yield name, {cell.config.device for cell in cells}, {resolve_device(value, is_remote=is_remote)}
        elif name not in _WHAT_METHODS:
            yield name, {getattr(cell.config, name) for cell in cells}, {value}
    changed = [name for name in _WHAT_METHODS if name in given]
    if changed == ["settings"]:
        yield "set", *_options(record, parse_settings(given["settings"]))
    elif changed == ["low_memory"]:
        low = any(methods.get(cell.method_name).has_low_memory(cell.config.options) for cell in cells)
        yield "low_memory", low, given["low_memory"]
    elif changed:
        specs = parse_methods(
            given.get("methods", CORE),
            parse_settings(given.get("settings", ())),
            paper=given.get("preset", cells[0].config.preset) == PAPER,
            low_memory=given.get("low_memory", False),
            tuned=any(cell.config.tuning for cell in cells),
        )
        flag = "set" if changed[0] == "settings" else changed[0]
        yield flag, {cell.method for cell in cells}, {spec.label for spec in specs}
    if winners is not None:
        tuned = [cell for cell in cells if cell.config.tuning is not None]
        theirs = {str(winners.get(cell.dataset, untuned(cell.method)).tuning) for cell in tuned}
        yield "config", {str(cell.config.tuning) for cell in tuned}, theirs or set(winners.files)


def _options(record: RunRecord, settings: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Method options as `T=2`: the values of the run's methods, and those given."""
    ours, theirs = set(), set()
    for name, text in settings.items():
        having = [cell for cell in record.cells if name in cell.config.options]
        ours |= {f"{name}={cell.config.options[name]}" for cell in having}
        for cls in {methods.get(cell.method_name) for cell in having}:
            try:
                theirs.add(f"{name}={getattr(cls.Options.parse({name: text}), name)}")
            except methods.MethodError as error:
                raise UserError(str(error)) from None
        if not having:
            theirs.add(f"{name}={text}")
    return ours, theirs


def _text(value: Any) -> str:
    """A value, or the values of a set, for people."""
    if isinstance(value, set):
        return ", ".join(_text(each) for each in sorted(value, key=lambda each: (str(type(each)), each))) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else to_text(value)
