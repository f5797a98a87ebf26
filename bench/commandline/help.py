"""A command whose `--help` lists its options in groups: `@click.command(cls=Command)`, then `@group("Title")(...)`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from results.ending import FrankCommand


class Command(FrankCommand):
    """A command with grouped options; one without a group is listed under "Other"."""

    def __init__(self, name: str | None, context_settings: dict[str, Any] | None = None, **kwargs: Any) -> None:
        settings = {"show_default": True, "max_content_width": 100, **(context_settings or {})}
        super().__init__(name, settings, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under its title, all in the same two columns."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                groups.setdefault(getattr(param, "group", "Other"), []).append(record)
        longest = max(len(spec) for records in groups.values() for spec, _ in records)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl([(spec.ljust(min(longest, 30)), text) for spec, text in records])


class Option(click.Option):
    """An option in a group. Its help leaves out what goes without saying: that a switch is off, and ranges."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group

    def make_metavar(self, ctx: click.Context) -> str:
        """`INTEGER`, not `INTEGER RANGE`."""
        return super().make_metavar(ctx).replace(" RANGE", "")

    def get_help_extra(self, ctx: click.Context) -> Any:
        """The default alone, and one given in words (`show_default="all cores"`) as it is."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if self.is_flag:
            extra.pop("default", None)
        elif isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


def group(title: str) -> Callable[..., Callable[[Any], Any]]:
    """`click.option` for the options of one group."""
    return functools.partial(click.option, cls=Option, group=title)
