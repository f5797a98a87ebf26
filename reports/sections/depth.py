"""Activation memory against depth: the bytes kept for the backward pass with a stack of T blocks."""

from __future__ import annotations

from reports.formats.markdown import MISSING, Markdown, code, exact, markdown_table, number
from reports.formats.prose import prose
from reports.statistics.measures import MIB, depth_profile
from reports.view import DatasetView, RunView

TEXT = """
### Activation memory against depth

{{ figure }}

Activation memory, MiB, with a stack of T blocks:

{{ table }}

The last column is the growth from each method's smallest T to its largest.
{%- if without %} Without such a probe: {{ without | codes }}.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The figure and the table; None where no cell was probed at several depths."""
    profiles = {method: depth_profile(data.finished[method]) for method in data.drawn}
    depths = sorted({depth for profile in profiles.values() for depth in profile})
    if not depths:
        return None
    rows = []
    for method, profile in profiles.items():
        if not profile:
            continue
        growth = MISSING
        if len(profile) > 1 and (least := max(profile[min(profile)])):
            growth = f"{number(max(profile[max(profile)]) / least)}×"
        row = [exact([held / MIB for held in profile[depth]]) if depth in profile else MISSING for depth in depths]
        rows.append([code(method), *row, growth])
    last = f"T = {depths[-1]} / T = {depths[0]}" if len(depths) > 1 else "growth"
    return prose(
        TEXT,
        figure=data.figures.get("activations-by-depth", ""),
        table=markdown_table(["method", *(f"T = {depth}" for depth in depths), last], rows),
        without=[method for method, profile in profiles.items() if not profile],
    )
