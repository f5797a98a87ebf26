"""`--config FILE.toml`: values for flags that the command line leaves out, checked as if they had been typed.

A file's keys are the command's long flags, with `-` or `_`. What a file gives goes into click's `Context.default_map`,
so that the flags' own types convert and refuse it. One key is no flag: `tuned`, a table of tuned hyperparameters.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.commandline.flags import ASSIGNMENT, merged
from bench.planning.presets import NEWEST, WINNERS_KEY, TunedSource
from methods.core.options import to_text
from results.files import read_toml


def config_option() -> Callable[[Any], Any]:
    """The decorator that adds `--config`; the command gets the tuned hyperparameters of the files, in order."""
    return click.option(
        "--config",
        multiple=True,
        is_eager=True,
        callback=_read_files,
        metavar="FILE.toml",
        help=f"Read flags from a file; '{NEWEST}' takes the newest tuned hyperparameters. Repeatable; the last wins.",
    )


def file_flags(command: click.Command) -> dict[str, click.Option]:
    """The flags that a file may give, by key: all but the eager ones, which are about this call alone."""
    options = (param for param in command.params if isinstance(param, click.Option) and not param.is_eager)
    return {option.opts[0].removeprefix("--"): option for option in options}


def _read_files(context: click.Context, param: click.Parameter, names: tuple[str, ...]) -> tuple[TunedSource, ...]:
    """Put the files' values where click looks for defaults.

    Raises:
        click.UsageError: a file cannot be read, or has a key or a value that is not accepted.
    """
    sources: list[TunedSource] = []
    for name in names:
        content = {WINNERS_KEY: None} if name == NEWEST else _load(name, context)
        if WINNERS_KEY in content:
            sources.append((name, content.pop(WINNERS_KEY)))
        before = context.default_map or {}
        found = _checked(content, name, context)
        found |= {
            key: merged(before.get(key, ()), found[key])
            for key in (option.name for option in context.command.params if option.metavar == ASSIGNMENT)
            if key in found
        }
        context.default_map = {**before, **found}
    return tuple(sources)


def _load(name: str, context: click.Context) -> dict[str, Any]:
    if not name:
        raise click.UsageError(f"--config '' names no configuration: give a TOML file or {NEWEST!r}", context)
    try:
        return read_toml(Path(name))
    except OSError as error:
        raise click.UsageError(f"cannot read the configuration {name!r}: {error.strerror or error}", context) from None
    except ValueError as error:  # not TOML (names line and column) or not UTF-8
        raise click.UsageError(f"the configuration {name!r} is not valid TOML: {error}", context) from None


def _checked(content: dict[str, Any], name: str, context: click.Context) -> dict[str, Any]:
    """The values by parameter name, as the command line would give them."""
    flags = file_flags(context.command)
    accepted = [*flags, WINNERS_KEY]
    found: dict[str, Any] = {}
    for key, value in content.items():
        flag = key.replace("_", "-")
        if flag not in flags:
            close = difflib.get_close_matches(flag, accepted, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise click.UsageError(f"unknown key {key!r} in {name}{hint}; accepted: {', '.join(accepted)}", context)
        option = flags[flag]
        if option.name in found:
            raise click.UsageError(f"{name} gives {flag!r} twice, with '-' and with '_'; give it once", context)
        try:
            found[option.name] = _as_typed(option, value)
            option.type_cast_value(context, found[option.name])
        except click.BadParameter as error:
            raise click.BadParameter(error.message, context, option, f"{key!r} in {name}") from None
    return found


def _as_typed(option: click.Option, value: Any) -> Any:
    """A TOML value as the command line would give it.

    Raises:
        click.BadParameter: a table or list where none can be, or a switch that is neither true nor false.
    """
    if option.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter(f"{value!r} is not accepted; give true or false")
        return value
    if isinstance(value, dict):
        if option.metavar != ASSIGNMENT:
            raise click.BadParameter("a table is not accepted; give a value")
        return [f"{name}={_text(item)}" for name, item in value.items()]
    texts = [_text(item) for item in (value if isinstance(value, list) else [value])]
    return texts if option.multiple else ",".join(texts)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise click.BadParameter("a list or table inside another is not accepted; give plain values")
    return to_text(value)
