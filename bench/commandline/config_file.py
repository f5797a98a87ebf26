"""`--config FILE.toml`: what files say of the flags that the command line leaves open, checked as if it stood there.

A file's keys are the names of the command's long flags, with `-` or `_`. click looks up what a file gives where the
command line gives nothing (`Context.default_map`), so the flags' own types convert and refuse it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

NEWEST = "tuned"
"""In place of a file's name: the newest winners that `python -m bench.tune` has written for the data sets."""
DEFAULT_TUNED = Path("results/tuned")
"""Where those are."""
WINNERS_KEY = "tuned"
"""The one key that is no flag: a table of winners."""
ASSIGNMENT = "NAME=VALUE"
"""Metavar of a flag whose values are assignments, which a file may give as a table."""


@dataclass(frozen=True)
class TunedSource:
    """Where winners of a search are to be taken from."""

    file: str | None = None
    """None: the newest there are."""
    table: Any = None
    """What the file has under `WINNERS_KEY`."""


def config_option() -> Callable[[_Function], _Function]:
    """The decorator that gives a command `--config`; the command is passed the files' `TunedSource`s, in order."""
    return click.option(
        "--config",
        multiple=True,
        is_eager=True,
        callback=_read_files,
        metavar="FILE.toml",
        help="Take flags from a file, or 'tuned': hyperparameters from the newest search. Repeatable; the last wins.",
    )


def settings_of(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Each flag that a file may give, by its key. Eager ones say something of the call, not of what is to be done."""
    for param in command.params:
        if isinstance(param, click.Option) and not param.is_eager:
            names = [name for name in param.opts if name.startswith("--")]
            if names:
                yield names[0].removeprefix("--"), param


def _read_files(context: click.Context, param: click.Parameter, names: tuple[str, ...]) -> tuple[TunedSource, ...]:
    """Put what the files give where click looks for it.

    Raises:
        click.UsageError: a file cannot be read, or holds a key or a value that is not accepted.
    """
    sources = []
    for name in names:
        if name == NEWEST:
            sources.append(TunedSource())
            continue
        content = _load(name, context)
        if WINNERS_KEY in content:
            sources.append(TunedSource(name, content.pop(WINNERS_KEY)))
        context.default_map = {**(context.default_map or {}), **_checked(content, name, context)}
    return tuple(sources)


def _load(name: str, context: click.Context) -> dict[str, Any]:
    try:
        with Path(name).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise click.UsageError(f"cannot read the configuration {name!r}: {error.strerror or error}", context) from None
    except ValueError as error:  # TOML's and Unicode's errors; the first names line and column
        raise click.UsageError(f"the configuration {name!r} is not valid TOML: {error}", context) from None


def _checked(content: Mapping[str, Any], name: str, context: click.Context) -> dict[str, Any]:
    """The values by the names of the command's parameters, in the form in which the command line would give them."""
    flags = dict(settings_of(context.command))
    found: dict[str, Any] = {}
    for key, value in content.items():
        plain = key.replace("_", "-")
        if plain not in flags:
            close = difflib.get_close_matches(plain, [*flags, WINNERS_KEY], n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise click.UsageError(
                f"unknown key {key!r} in {name}{hint}; accepted: {', '.join([*flags, WINNERS_KEY])}", context
            )
        param = flags[plain]
        if param.name in found:
            raise click.UsageError(f"{name} gives {plain!r} twice, with '-' and with '_': give it once", context)
        try:
            found[param.name] = _as_typed(param, value)
            param.type_cast_value(context, found[param.name])
        except click.BadParameter as error:
            raise click.BadParameter(error.message, context, param, f"{key!r} in {name}") from None
    return found


def _as_typed(param: click.Option, value: Any) -> Any:
    """A TOML value as a person would type it: a list with commas or flag by flag, a table as assignments.

    Raises:
        click.BadParameter: a table where none can be, a list in a list, or a switch that is neither true nor false.
    """
    if param.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter(f"{value!r} is not accepted: give true or false")
        return value
    if isinstance(value, dict):
        if param.metavar != ASSIGNMENT:
            raise click.BadParameter("a table is not accepted: give a value")
        return [f"{name}={_text(item)}" for name, item in value.items()]
    if isinstance(value, list):
        texts = [_text(item) for item in value]
        return texts if param.multiple else ",".join(texts)
    return [_text(value)] if param.multiple else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise click.BadParameter("a list or table inside another is not accepted: give plain values")
    return str(value).lower() if isinstance(value, bool) else str(value)
