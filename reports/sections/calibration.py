"""What a method's runs against itself say: of the machine, in a calibration's own report, and of other reports."""

from __future__ import annotations

import math
from collections.abc import Iterator

from reports.formats.markdown import MISSING, code, listed, markdown_table, number, plural
from reports.statistics.estimates import CONFIDENCE, paired_differences, paired_ratios, ratio_estimate, student_t
from reports.statistics.measures import MIB, TEST_ACCURACY, Measure
from reports.statistics.noise import MIN_PAIRS, noise_bound
from reports.view import DatasetView
from results.schema import CalibrationRecord

NAMES = {
    "train_seconds": "training time",
    "eval_seconds": "evaluation time",
    "images_per_second": "images/s",
    "peak_rss_bytes": "peak resident memory",
    "rss_rise_bytes": "rise of resident memory",
    "gpu_peak_allocated_bytes": "GPU peak allocated",
    "gpu_peak_reserved_bytes": "GPU peak reserved",
    "cpu_joules": "CPU energy",
    "gpu_joules": "GPU energy",
}
_COMPARED = ("train_seconds", "peak_rss_bytes", "rss_rise_bytes", "gpu_peak_allocated_bytes")
"""Those that reports give ratios of."""
_SEEDS = (1, 3, 10)


def against_itself(data: DatasetView, calibration: CalibrationRecord | None) -> Iterator[str]:
    """The section of a calibration's report, as Markdown blocks."""
    yield "### A method against itself (A/A)"
    if calibration is None or data.reference is None or not data.rivals:
        yield "Fewer than two pairs of cells finished, so the spread of this machine is not known."
        return
    ours, theirs = data.finished[data.rivals[0]], data.finished[data.reference]
    rows = []
    for field, spread in calibration.spread.items():
        measure = Measure(NAMES[field], field, MIB if field.endswith("_bytes") else 1.0)
        ratio = ratio_estimate(paired_ratios(measure.values(ours), measure.values(theirs)))
        assert ratio is not None
        assert ratio.low is not None
        assert ratio.high is not None
        bounds = [noise_bound(calibration, field, seeds) for seeds in _SEEDS]
        rows.append(
            [
                NAMES[field],
                f"{ratio.mean:.4f}",
                f"{ratio.low:.4f} to {ratio.high:.4f}",
                "yes" if ratio.low <= 1 <= ratio.high else "no",
                _factor(spread),
                *(MISSING if bound is None else _factor(bound) for bound in bounds),
            ]
        )
    headers = ["measure", "ratio", "95% interval", "has 1 in it", "spread of a pair"]
    yield markdown_table([*headers, *(f"noise, {plural(seeds, 'seed')}" for seeds in _SEEDS)], rows)
    t = number(student_t(calibration.pairs))
    yield (
        f"{plural(calibration.pairs, 'pair')} of cells with the same method, seed and work, one right after the other, "
        "in turns first. *Ratio* is the second name's over the first's: the geometric mean over pairs, with its "
        "interval. *Spread of a pair* is the root mean square of the logarithm of a pair's ratio. *Noise* is the "
        f"factor that {CONFIDENCE:.0%} of comparisons of this method with itself are expected to stay within, with "
        f"that many seeds (Student's t with {calibration.pairs} degrees of freedom, {t}, times the spread, over the "
        f"root of the number of seeds, in logarithms; from {MIN_PAIRS} pairs on); reports of later runs on such a "
        "machine, with these threads and this device, print smaller differences as 'within noise'."
    )
    gaps = paired_differences(TEST_ACCURACY.values(ours), TEST_ACCURACY.values(theirs))
    differing = sum(gap != 0 for gap in gaps)
    yield (
        "Test accuracies were the same in both cells of every pair: the same seed gives the same result here."
        if not differing
        else f"Test accuracies differed in {differing} of {plural(len(gaps), 'pair')}: the same seed does not give the "
        "same result on this device."
    )


def noise(data: DatasetView) -> Iterator[str]:
    """What 'within noise' means in this report, as a Markdown block; or that nothing is known of it."""
    known = data.calibration
    if known is None:
        if any(cell.machine is not None for cell in data.cells):
            yield (
                "How much a method differs from itself on this machine is not known: `python -m bench.calibrate`, run "
                "here before, would let this report mark differences that are within that noise."
            )
        return
    if known.pairs < MIN_PAIRS:
        yield (
            f"The calibration {code(known.run_id)} has {plural(known.pairs, 'pair')}, and it takes {MIN_PAIRS} to "
            "know what is within noise: nothing is marked so."
        )
        return
    seeds = max((len(data.shared_seeds(method)) for method in data.rivals), default=1) or 1
    bounds = [
        f"{_factor(bound)} in {NAMES[field]}"
        for field in _COMPARED
        if (bound := noise_bound(known, field, seeds)) is not None
    ]
    yield (
        f"*Within noise*: {code(known.method)} against itself on such a machine, in {plural(known.pairs, 'pair')} of "
        f"cells on {known.dataset} with {number(known.seconds)} s of training each (calibration {code(known.run_id)}), "
        f"is expected to stay within {listed(bounds)} in 95 of 100 comparisons over {plural(seeds, 'seed')}; with "
        "fewer seeds the factors are larger. It says how steady the machine was then, for cells as long as those, one "
        "right after the other; a machine that drifts over a whole run has more noise than that."
    )


def _factor(log_ratio: float) -> str:
    return f"×/÷ {number(math.exp(log_ratio), 4)}"
