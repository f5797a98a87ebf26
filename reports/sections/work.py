"""Work: floating-point operations per image, counted."""

from __future__ import annotations

from reports.formats.markdown import Markdown
from reports.formats.prose import prose
from reports.statistics.measures import PREDICT_FLOPS, TRAIN_FLOPS, is_measured
from reports.tables import summary
from reports.view import DatasetView, RunView

MEASURES = (TRAIN_FLOPS, PREDICT_FLOPS)
TEXT = """
### Work

{{ table }}

Floating-point operations (FLOPs) are counted on one full batch, not timed: matrix products and convolutions only, with
a multiplication and an addition counted as two. Normalisation, activation functions, noise and the optimiser's update
are left out, and hardware does not run all operations equally fast. *Training compute* is one step, forward and
backward; recomputation counts again. *Prediction compute* is predicting the class.
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """The table; None where no operations were counted."""
    if not any(is_measured(data, measure) for measure in MEASURES):
        return None
    return prose(TEXT, table=summary(data, MEASURES).markdown())
