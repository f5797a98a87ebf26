"""Every method compared with the reference, seed by seed: differences in accuracy, ratios of everything else."""

from __future__ import annotations

from reports.formats.markdown import Markdown, code, listed, number
from reports.formats.prose import prose
from reports.sections.calibration import factor
from reports.statistics import measures as m
from reports.statistics.estimates import estimate, ratio_estimate
from reports.statistics.noise import MIN_PAIRS, noise_bound
from reports.tables import compared, noise_mark
from reports.view import REFERENCE, DatasetView, RunView

RATIOS = (m.TRAIN_SECONDS, m.PEAK_RSS, m.RSS_RISE, m.ACTIVATIONS, m.TRAIN_FLOPS, m.GPU_ALLOCATED)
TEXT = """
### Compared with {{ default | code }}, seed by seed

{% if not data.reference %}{{ default | code }} has no finished cell on {{ data.name }}, so there is nothing to
compare with.
{% elif not table %}`{{ data.reference }}` is the only method with finished cells, so there is nothing to compare.
{% else %}{{ table }}

How to read it: each method is compared with `{{ data.reference }}` *on the same seed*; then the comparisons are
averaged over the seeds that both finished (*seeds*). A ratio of 1 means the same as `{{ data.reference }}`, 0.5 half of
it, 2 twice as much; ratios are geometric means, with their intervals in brackets. Accuracy is a difference in
percentage points: above 0 is more accurate than `{{ data.reference }}`.{{ example }} The intervals are for these means
and one by one; the verdicts are in `report.md`.{% endif %}

{% if known is none %}{% if monitored %}How much a method differs from itself on this machine is not known. Run `python
-m bench.calibrate` on it before the next run, and its report marks differences that are within that noise.{% endif %}
{% elif not bounds %}The calibration {{ known.run_id | code }} has {{ known.pairs | plural("pair") }}; it takes
{{ min_pairs }} to know what is within noise, so nothing is marked.
{% else %}*Within noise*: {{ known.method | code }} compared with itself on such a machine is expected to stay within
{{ bounds | listed }} in 95 of 100 comparisons over {{ seeds | plural("seed") }}; with fewer seeds the factors are
larger. Source: {{ known.pairs | plural("pair") }} of cells on {{ known.dataset }} with {{ known.seconds | number }} s
of training each (calibration {{ known.run_id | code }}). This says how steady the machine was then, for cells of that
length run back to back; a machine that drifts over a whole run is noisier.{% endif %}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The table, its first row in words, and the machine's noise."""
    table, known = compared(data, RATIOS), data.calibration
    seeds = max((len(data.shared_seeds(method)) for method in data.rivals), default=1) or 1
    bounds = {measure: noise_bound(known, measure.field, seeds) for measure in RATIOS}
    return prose(
        TEXT,
        default=data.reference or run.planned_reference(data.name) or REFERENCE,
        data=data,
        table=table and table.markdown(),
        example=_example(data) if table else "",
        known=known,
        monitored=any(cell.machine is not None for cell in data.cells),
        seeds=seeds,
        min_pairs=MIN_PAIRS,
        bounds=[f"{factor(bound)} in {measure.name}" for measure, bound in bounds.items() if bound is not None],
    )


def _example(data: DatasetView) -> str:
    """The first row in words."""
    method, reference, parts = data.rivals[0], str(data.reference), []
    if gap := estimate(m.paired(data, m.TEST_ACCURACY, method, reference)):
        way = "above" if gap.mean >= 0 else "below"
        parts.append(f"ended {number(abs(gap.mean), decimals=2)} points {way} {code(reference)}")
    if time := ratio_estimate(m.paired(data, m.TRAIN_SECONDS, method, reference)):
        parts.append(f"trained for {number(time.mean)}{noise_mark(data, m.TRAIN_SECONDS, time)} times as long")
    if held := ratio_estimate(m.paired(data, m.ACTIVATIONS, method, reference)):
        parts.append(f"needed {number(held.mean)} times the activation memory")
    return f" The first row says that {code(method)} {listed(parts)}." if parts else ""
