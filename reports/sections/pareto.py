"""Accuracy against cost: the methods that no other beats in accuracy and a cost together, the Pareto front."""

from __future__ import annotations

from reports.formats.markdown import Markdown, codes, number
from reports.formats.prose import prose
from reports.statistics.measures import TRAIN_SECONDS
from reports.statistics.pareto import COSTS, mean_points, pareto_front
from reports.view import DatasetView, RunView

TEXT = """
### Accuracy against cost

{{ sentences | bullets }}

{% if sentences %}A method is beaten by one that is at least as good in both and better in one. The methods that none
beats are the Pareto front, listed from the cheapest on. This goes by means over seeds only: chance may have swapped
neighbours, which the verdict tests.{% endif %}

{{ figure }}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The front of each cost and the figure; None where there is neither."""
    sentences, figure = fronts(data), data.figures.get("trade-off", "")
    return prose(TEXT, sentences=sentences, figure=figure) if sentences or figure else None


def fronts(data: DatasetView) -> list[str]:
    """A sentence for each cost that was measured and may be compared; none for a single method."""
    sentences = []
    for cost in COSTS:
        points = mean_points(data, cost)
        if len(points) < 2 or (cost is TRAIN_SECONDS and data.sharing):
            continue
        front = pareto_front(points)
        named = [f"{codes([method])} ({number(points[method][1], decimals=2)}%)" for method in front]
        sentences.append(
            f"In test accuracy and {cost.name} together, {len(front)} of {len(points)} methods "
            f"{'is' if len(front) == 1 else 'are'} not beaten by another: {', '.join(named)}."
        )
    return sentences
