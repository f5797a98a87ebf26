"""Accuracy and time: the first table, and the cells whose times other load may have lengthened."""

from __future__ import annotations

from reports.formats.markdown import Markdown, code
from reports.formats.prose import prose
from reports.statistics import measures as m
from reports.statistics.noise import DISTURBED_SHARE, disturbance, is_disturbed
from reports.statistics.outcome import unequal
from reports.tables import summary
from reports.view import DatasetView, RunView
from results.conditions import DataRecord

MAX_NAMED = 5
TEXT = """
### Accuracy and time

{{ table }}

Accuracy is measured after the last epoch; no epoch is selected by its accuracy.
{%- if best %} *{{ best | capital }}* is the test accuracy after the evaluated epoch with the highest validation
accuracy, the earliest of several.{% endif %}
{%- if majority %} *Balanced accuracy* is the mean over classes of the accuracy on each: classes are unequal here, and
always naming the most frequent one has {{ majority | number }}% test accuracy and {{ even | number }}% balanced
accuracy.{% endif %} Training time is that of the training loop (preparing batches, training steps, progress reports),
without evaluation, data loading and warm-up.
{%- if data.groups %} Methods are grouped by credit assignment, in italics.{% endif %}

{% if disturbed %}**Disturbed**: while {{ disturbed | length }} of {{ data.cells | length | plural("cell") }} trained,
other processes or guests of the machine took more than {{ limit }} of its cores: {{ named | join(", ") }}
{%- if disturbed | length > named | length %} and {{ disturbed | length - named | length }} more{% endif %}. Their
times, and everything computed from them, may be too long.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The table and the disturbed cells; none are flagged where cells shared a machine by design."""
    disturbed = [] if data.sharing else [cell for cell in data.cells if is_disturbed(cell)]
    measures = measures_of(data)
    unequal = _unequal(data)
    return prose(
        TEXT,
        table=summary(data, measures).markdown(data.groups),
        best=m.BEST_VAL_ACCURACY.name if m.is_measured(data, m.BEST_VAL_ACCURACY) else None,
        majority=100 * (unequal.majority_share or 0.0) if unequal else None,
        even=100 / unequal.num_classes if unequal else None,
        data=data,
        disturbed=disturbed,
        named=[f"{code(cell.method)} seed {cell.seed} ({disturbance(cell):.0%})" for cell in disturbed[:MAX_NAMED]],
        limit=f"{DISTURBED_SHARE:.0%}",
    )


def measures_of(data: DatasetView) -> list[m.Measure]:
    """The table's columns; balanced accuracy only where classes are unequal."""
    balanced = [m.BALANCED_ACCURACY] if _unequal(data) else []
    costs = [m.TRAIN_SECONDS, m.IMAGES_PER_SECOND, m.EVAL_SECONDS]
    return [m.TEST_ACCURACY, *balanced, m.BEST_VAL_ACCURACY, m.VAL_ACCURACY, *costs]


def _unequal(data: DatasetView) -> DataRecord | None:
    """The data, where their classes are unequal and balanced accuracy was recorded."""
    return unequal(cell for cell in data.cells if cell.test_balanced_accuracy is not None)
