"""What a report can be had as besides `report.md`, and the flags that ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click


class Forms(NamedTuple):
    """The forms asked for."""

    html: bool = False
    """One page that needs no other file, `report.html`."""
    latex: bool = False
    """The tables for a paper, `tables.tex`."""

    @property
    def flags(self) -> list[str]:
        """Those that ask for them on a command line."""
        return [f"--{name}" for name, wanted in self._asdict().items() if wanted]


PLAIN = Forms()
"""Markdown alone."""


class _OutputOption(click.Option):
    """One that bench's commands list under this title of their help."""

    group = "Output"


html_option = click.option(
    "--html/--no-html",
    cls=_OutputOption,
    show_default=False,
    help="Also write the report as one web page, report.html.",
)
latex_option = click.option(
    "--latex/--no-latex",
    cls=_OutputOption,
    show_default=False,
    help="Also write the main tables for a paper, tables.tex.",
)


def form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add both flags to a command, which gets them as `html` and `latex`."""
    return html_option(latex_option(command))
