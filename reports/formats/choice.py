"""What a report is written as besides `report.md`, and the flags that ask for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import click


class Forms(NamedTuple):
    """Which forms to write."""

    html: bool = False
    """One page that needs no other file, `report.html`."""
    latex: bool = False
    """The tables for a paper, `tables.tex`."""

    @property
    def flags(self) -> list[str]:
        """The command-line flags that ask for them."""
        return [f"--{name}" for name, wanted in self._asdict().items() if wanted]


PLAIN = Forms()
"""Markdown alone."""


class _Option(click.Option):
    group = "Output"  # its title in the help of bench's commands


_option = functools.partial(click.option, cls=_Option, show_default=False)
html_option = _option("--html/--no-html", help="Also write the report as one web page, report.html.")
latex_option = _option("--latex/--no-latex", help="Also write the main tables for a paper, tables.tex.")


def form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add both flags to a command, which gets them as `html` and `latex`."""
    return html_option(latex_option(command))
