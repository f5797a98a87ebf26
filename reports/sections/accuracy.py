"""Accuracy and time: the first table, and the cells whose times other load may have lengthened."""

from __future__ import annotations

from reports.formats.markdown import Markdown, code
from reports.formats.prose import prose
from reports.statistics.measures import EVAL_SECONDS, IMAGES_PER_SECOND, TEST_ACCURACY, TRAIN_SECONDS, VAL_ACCURACY
from reports.statistics.noise import DISTURBED_SHARE, disturbance, is_disturbed
from reports.tables import summary
from reports.view import DatasetView, RunView

MEASURES = (TEST_ACCURACY, VAL_ACCURACY, TRAIN_SECONDS, IMAGES_PER_SECOND, EVAL_SECONDS)
MAX_NAMED = 5
TEXT = """
### Accuracy and time

{{ table }}

Accuracy is measured after the last epoch; no epoch is selected by its accuracy. Training time is that of the training
loop (preparing batches, training steps, progress reports), without evaluation, data loading and warm-up.
{%- if data.groups %} Methods are grouped by credit assignment, in italics.{% endif %}

{% if disturbed %}**Disturbed**: while {{ disturbed | length }} of {{ data.cells | length | plural("cell") }} trained,
other processes or guests of the machine took more than {{ limit }} of its cores: {{ named | join(", ") }}
{%- if disturbed | length > named | length %} and {{ disturbed | length - named | length }} more{% endif %}. Their
times, and everything computed from them, may be too long.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The table and the disturbed cells; none are flagged where cells shared a machine by design."""
    disturbed = [] if data.sharing else [cell for cell in data.cells if is_disturbed(cell)]
    return prose(
        TEXT,
        table=summary(data, MEASURES).markdown(data.groups),
        data=data,
        disturbed=disturbed,
        named=[f"{code(cell.method)} seed {cell.seed} ({disturbance(cell):.0%})" for cell in disturbed[:MAX_NAMED]],
        limit=f"{DISTURBED_SHARE:.0%}",
    )
