"""What a user writes for methods: `noprop,backprop`, `core`, `all`, `noprop[T=20,sampler=mean],backprop[T=20]`."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import methods
from bench.errors import UserError
from bench.planning.presets import CORE
from methods.core.method import Method
from methods.core.options import join_brackets, parse_assignments, split_brackets, split_list, to_text
from results.conditions import TUNED


@dataclass(frozen=True)
class MethodSpec:
    """One method with its options, checked."""

    label: str
    """Canonical name and the options given: the cell's method in results and reports."""
    cls: type[Method]
    options: dict[str, Any]
    """Every option with its effective value."""
    given: tuple[str, ...] = ()
    """The options that the user chose."""
    tuned: bool = False
    """Whether a search has found hyperparameters for it, under its label as `untuned` gives it."""
    refused: dict[str, str] = field(default_factory=dict)
    """Settings whose value it does not accept, though it has the option, and the sentence that says so."""


def parse_methods(
    text: str, settings: Mapping[str, str], *, paper: bool = False, low_memory: bool = False, tuned: bool = False
) -> list[MethodSpec]:
    """Parse a comma-separated list of methods.

    Args:
        text: The list; `all` stands for every registered method, `core` for those that declare it.
        settings: Options for every method that has them; those in a method's brackets win. A method that does not
            accept the value that others accept keeps its own, and a note on standard error says so.
        paper: Whether options default to the paper's value for the method.
        low_memory: Whether each method that can be trained one block at a time comes a second time, trained that way.
        tuned: Whether a search has found hyperparameters. They are for the methods with `tuned` in their brackets, or,
            where none has that, for all.

    Raises:
        UserError: an unknown method or option, a value that is not accepted, a method named twice, a setting that no
            method of the list has, none that can be trained in low memory, or `tuned` where nothing has been found.
    """
    items = split_list(text)
    if not any(items):
        raise UserError(f"the list of methods {text!r} is empty: name one or more of {', '.join(methods.available())}")
    if not all(items):
        raise UserError(f"the list of methods {text!r} has an empty item: give a list such as noprop,backprop")
    named = [found for item in items for found in _parse_item(item)]
    if not tuned and (asked := [cls.name for cls, _, is_tuned in named if is_tuned]):
        raise UserError(
            f"{asked[0]}[{TUNED}] is not accepted without tuned hyperparameters: add --config tuned, or make some with "
            "python -m bench.tune"
        )
    if tuned and not any(is_tuned for *_, is_tuned in named):
        named = [(cls, own, True) for cls, own, _ in named]
    specs = [_make(cls, own, settings, paper, is_tuned) for cls, own, is_tuned in named]
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"method {label!r} is named more than once: name each once")
    for number, one in enumerate(specs):
        for other in specs[:number]:
            if (one.cls, one.options) == (other.cls, other.options) and not one.tuned and not other.tuned:
                raise UserError(f"{other.label} and {one.label} are the same method with the same options: name one")
    for setting in settings:
        if not any(setting in spec.options for spec in specs):
            known = sorted({option for spec in specs for option in spec.options})
            accepted = f"their options are {', '.join(known)}" if known else "they have no options"
            raise UserError(f"none of the methods {', '.join(labels)} has an option {setting!r}: {accepted}")
        if not any(setting in spec.given for spec in specs):
            raise UserError(next(spec.refused[setting] for spec in specs if setting in spec.refused))
    for spec in specs:
        for setting, why in spec.refused.items():
            print(f"note: {setting}={settings[setting]} is left out of {why}", file=sys.stderr)
    if not low_memory:
        return specs
    if not any(spec.cls.low_memory for spec in specs):
        able = ", ".join(name for name, cls in methods.available().items() if cls.low_memory)
        raise UserError(
            f"--low-memory is not accepted with {', '.join(labels)}: only {able} can be trained part after part"
        )
    both: dict[str, MethodSpec] = {}
    for spec, (cls, own, is_tuned) in zip(specs, named, strict=True):
        both[spec.label] = spec
        if cls.low_memory:
            low = _make(cls, own | dict(cls.low_memory), settings, paper, is_tuned)
            if low.label not in labels:
                both[low.label] = low
    return list(both.values())


def parse_settings(items: Iterable[str], example: str = "T=20") -> dict[str, str]:
    """Parse `NAME=VALUE` items; `example` is one that would be accepted.

    Raises:
        UserError: an item of another form, or a name given twice.
    """
    try:
        return parse_assignments(
            items,
            malformed=f"{{item!r}} is not an option: write NAME=VALUE, for instance {example}",
            repeated="option {name!r} is given more than once: give it once",
        )
    except methods.MethodError as error:
        raise UserError(str(error)) from None


def _parse_item(item: str) -> list[tuple[type[Method], dict[str, str], bool]]:
    """The classes that an item names, the options in its brackets, and whether `tuned` is among them."""
    name, parts = split_brackets(item)
    if not name or "[" in name or "]" in name:
        raise UserError(f"cannot read the method {item!r}: write NAME or NAME[OPTION=VALUE,...]")
    own, tuned = parse_settings(part for part in parts if part != TUNED), TUNED in parts
    if name in ("all", CORE) and own:
        flags = " ".join(f"--set {key}={value}" for key, value in own.items())
        raise UserError(
            f"{item!r} is not accepted: brackets go behind one method; for all that have the option: {flags}"
        )
    if name in ("all", CORE):
        return [(cls, {}, tuned) for cls in methods.available().values() if cls.core or name == "all"]
    try:
        return [(methods.get(name), own, tuned)]
    except methods.MethodError as error:
        raise UserError(str(error)) from None


def _make(
    cls: type[Method], own: Mapping[str, str], settings: Mapping[str, str], paper: bool, tuned: bool
) -> MethodSpec:
    names = cls.Options.parse({}).as_dict()
    base = dict(cls.paper.options) if paper else {}
    given = {key: value for key, value in settings.items() if key in names} | dict(own)
    refused: dict[str, str] = {}
    try:
        options = cls.Options.parse(base | given)
    except methods.MethodError as error:
        alone = {key: _refusal(cls, key, given[key]) for key in given.keys() - own.keys()}
        refused = {key: why for key, why in alone.items() if why is not None}
        given = {key: value for key, value in given.items() if key not in refused}
        try:
            options = cls.Options.parse(base | given)
        except methods.MethodError:
            raise UserError(f"{cls.name}: {error}") from None
    values = options.as_dict()
    shown = [f"{key}={to_text(values[key])}" for key in sorted(given)]
    label = join_brackets(cls.name, [*shown, TUNED] if tuned else shown)
    return MethodSpec(label, cls, values, tuple(sorted(given)), tuned, refused)


def _refusal(cls: type[Method], option: str, value: str) -> str | None:
    """Why a method does not accept a value of an option that it has; None if it does."""
    try:
        cls.Options.parse({option: value})
    except methods.MethodError as error:
        return f"{cls.name}: {error}"
    return None
