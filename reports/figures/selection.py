"""Which methods a figure shows, and which of them it highlights."""

from __future__ import annotations

from reports.figures.style import MAX_DRAWN
from reports.statistics.questions import findings
from reports.view import DatasetView, Family

MAX_HIGHLIGHTED = 6
_NOPROP = 3


def highlighted(data: DatasetView) -> list[str]:
    """The reference, methods of NoProp (plain ones before variants) and the most accurate rivals of either kind."""
    ranked = [row.method for row in findings(data).rows if row.method != data.reference]
    by_family = {family: [method for method in ranked if data.families[method] is family] for family in Family}
    noprop = sorted((m for m in data.drawn if m in by_family[Family.NOPROP]), key=lambda method: "[" in method)
    reference = [data.reference] if data.reference is not None else []
    first = [*reference, *noprop[:_NOPROP], *by_family[Family.BACKPROP][:1], *by_family[Family.OTHER][:1]]
    return list(dict.fromkeys([*first, *noprop, *ranked]))[:MAX_HIGHLIGHTED]


def shown(data: DatasetView) -> list[str]:
    """At most `MAX_DRAWN` methods in the order of the plan, among them all that are highlighted."""
    first = list(dict.fromkeys([*highlighted(data), *data.drawn]))[:MAX_DRAWN]
    return [method for method in data.drawn if method in first]
