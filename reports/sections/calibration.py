"""A method against itself (A/A): how much this machine varies, for the report of a calibration."""

from __future__ import annotations

import math

from reports.formats.markdown import MISSING, Markdown, markdown_table, number, plural
from reports.formats.prose import prose
from reports.statistics import measures as m
from reports.statistics.estimates import CONFIDENCE, ratio_estimate, student_t
from reports.statistics.noise import MIN_PAIRS, noise_bound
from reports.view import DatasetView, RunView

TIMES = (m.TRAIN_SECONDS, m.EVAL_SECONDS, m.IMAGES_PER_SECOND)
MEMORY = (m.PEAK_RSS, m.RSS_RISE, m.GPU_ALLOCATED, m.GPU_RESERVED)
MEASURES = {measure.field: measure for measure in (*TIMES, *MEMORY, m.CPU_ENERGY, m.GPU_ENERGY)}
"""What a calibration can have the spread of, by field."""
SEEDS = (1, 3, 10)
TEXT = """
### A method against itself (A/A)

{% if not table %}Fewer than two pairs of cells finished, so the spread of this machine is not known.
{% else %}{{ table }}

{{ pairs | plural("pair") }} of cells, each with the same method, seed and work, run back to back in alternating order.
*Ratio* is the second name's value divided by the first's, as a geometric mean over pairs with its interval. *Spread of
a pair* is the root mean square of the logarithm of a pair's ratio. *Noise* is the factor that {{ confidence }} of
comparisons of this method with itself are expected to stay within, with that many seeds: in logarithms, Student's t
with {{ pairs }} degrees of freedom ({{ t }}) times the spread over the square root of the number of seeds; known from
{{ min_pairs }} pairs on. Reports of later runs on such a machine, with the same threads and device, mark smaller
differences as 'within noise'.

{% if differing %}Test accuracies differed in {{ differing }} of {{ compared | plural("pair") }}: the same seed does not
give the same result on this device.
{%- else %}Test accuracies were the same in both cells of every pair: the same seed gives the same result here.
{%- endif %}{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A row for each measure with its spread; None in the report of any other run."""
    if run.record.purpose != "calibration":
        return None
    known = run.calibration
    if known is None or data.reference is None or not data.rivals:
        return prose(TEXT, table=None)
    first, second = data.reference, data.rivals[0]
    rows = []
    for field, spread in known.spread.items():
        ratio = ratio_estimate(m.paired(data, MEASURES[field], second, first))
        if ratio is None or ratio.low is None or ratio.high is None:
            continue
        interval, within = f"{ratio.low:.4f} to {ratio.high:.4f}", "yes" if ratio.low <= 1 <= ratio.high else "no"
        bounds = [noise_bound(known, field, seeds) for seeds in SEEDS]
        noise = [MISSING if bound is None else factor(bound) for bound in bounds]
        rows.append([MEASURES[field].name, f"{ratio.mean:.4f}", interval, within, factor(spread), *noise])
    headers = ["measure", "ratio", "95% interval", "has 1 in it", "spread of a pair"]
    gaps = m.paired(data, m.TEST_ACCURACY, second, first)
    return prose(
        TEXT,
        table=markdown_table([*headers, *(f"noise, {plural(seeds, 'seed')}" for seeds in SEEDS)], rows),
        pairs=known.pairs,
        confidence=f"{CONFIDENCE:.0%}",
        t=number(student_t(known.pairs)),
        min_pairs=MIN_PAIRS,
        differing=sum(gap != 0 for gap in gaps),
        compared=len(gaps),
    )


def factor(log_ratio: float) -> str:
    """The factor either way that a distance in logarithms is."""
    return f"×/÷ {number(math.exp(log_ratio), 4)}"
