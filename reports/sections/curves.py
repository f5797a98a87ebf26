"""Figures: those that stand beside no table of their own."""

from __future__ import annotations

from reports.figures.style import MAX_DRAWN
from reports.formats.markdown import Markdown
from reports.formats.prose import prose
from reports.view import DatasetView, RunView

ELSEWHERE = {"differences", "trade-off", "activations-by-depth", "blocks", "blocks-by-epoch", "accuracy-by-step"}
"""Figures that another section shows."""
TEXT = """
### Figures

{% if methods > most %}The figures show {{ most }} of the {{ methods }} methods; the tables show all.
{%- endif %}

{{ figures }}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """Those of the figures that were drawn, in their order."""
    drawn = "\n\n".join(data.figures[name] for name in data.figures if name not in ELSEWHERE)
    return prose(TEXT, methods=len(data.drawn), most=MAX_DRAWN, figures=drawn)
