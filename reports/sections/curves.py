"""Figures of the training: accuracy by epoch and by time, memory by method and over time."""

from __future__ import annotations

from reports.figures.style import MAX_DRAWN
from reports.formats.markdown import Markdown
from reports.formats.prose import prose
from reports.view import DatasetView, RunView

FIGURES = ("accuracy-by-epoch", "accuracy-by-time", "memory", "memory-over-time")
TEXT = """
### Figures

{% if methods > most %}The figures show the first {{ most }} of the {{ methods }} methods; the tables show all.
{%- endif %}

{{ figures }}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """Those of the figures that were drawn."""
    drawn = "\n\n".join(data.figures[name] for name in FIGURES if name in data.figures)
    return prose(TEXT, methods=len(data.drawn), most=MAX_DRAWN, figures=drawn)
