"""Microbenchmarks: what one call of each method takes outside any run, if the run's folder has been given a session."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats.markdown import MISSING, Markdown, code, codes, markdown_table, number, plural, span
from reports.formats.prose import prose
from reports.view import RunView, moment
from results.microbenchmarks import Benchmark, Kind, Microbenchmarks
from results.schema import CellResult, Environment

MACHINE = ("cpu", "cores", "platform")
"""Fields of `Environment` by which two machines are told apart."""
CALLS: tuple[Kind, ...] = ("step", "predict", "evaluate")
"""The columns of the table of methods."""
TEXT = """
## Microbenchmarks

{% if differing %}**These are not the conditions of this run's cells**: {{ differing | join("; ") }}. Do not compare the
figures of this section with the times of the cells.{% endif %}

{% if table %}{{ table }}

Every method runs at its default options, not those of this run, on images of random numbers (channels × height × width)
in batches of {{ batches }}. Each figure is the median over {{ rounds }} rounds, with the interquartile range (IQR) in
brackets. *Training step* and *prediction* are the method's own calls on a batch that is ready; *evaluation*
{%- if images %} (of {{ images }} images){% endif %} includes the harness, which prepares batches and counts correct
answers. All rounds ran in one process, so nothing here shows how processes differ.{% endif %}

{% if loops %}Overhead of the harness: an epoch in its training loop, which prepares batches and reports progress, took
{{ loops | listed }} as the same number of bare steps on batches that are ready, timed just before and after it (median
over epochs). The training times of cells contain this overhead; the longer a method's own step, the smaller its
share.{% endif %}

Timed on {{ machine.cpu }} ({{ machine.cores | plural("core") }}, {{ machine.platform }}) with {{
session.machine_info.threads | plural("thread") }}, PyTorch {{ machine.torch }}, at commit {{ (session.commit or
"unknown") | code }}, on {{ when }}.

{% if dirty %}The code was not a clean commit, so the commit does not identify it fully.{% endif %}
"""


def section(run: RunView) -> Markdown | None:
    """The table, what it was made on, and how that differs from what the run's cells ran on; None without a session."""
    session = run.microbenchmarks
    if session is None:
        return None
    calls = [each for each in session.benchmarks if each.extra_info.kind in CALLS]
    evaluated = [each.extra_info.images for each in calls if each.extra_info.kind == "evaluate"]
    loops = [
        f"{number(ratio.median, decimals=3)} times as long (IQR {number(ratio.iqr, decimals=3)}) with "
        f"{code(measured.method)} on {_size(measured.shape)} ({plural(ratio.epochs, 'epoch')} of "
        f"{plural(ratio.steps, 'step')})"
        for measured in (each.extra_info for each in session.benchmarks)
        if measured.kind == "loop" and (ratio := measured.loop) is not None
    ]
    return prose(
        TEXT,
        differing=_differing(session, run.cells),
        table=_table(calls) if calls else None,
        batches=span(each.extra_info.batch_size for each in calls) if calls else "",
        rounds=span(each.stats.rounds for each in calls) if calls else "",
        images=span(evaluated) if evaluated else "",
        loops=loops,
        session=session,
        machine=session.machine_info.environment,
        when=moment(session.datetime),
        dirty=session.commit is None or session.commit.endswith("-dirty"),
    )


def _table(calls: Sequence[Benchmark]) -> Markdown:
    """One row a shape of image and method, the largest images first."""
    rows: dict[tuple[tuple[int, int, int], str], dict[Kind, Benchmark]] = {}
    for each in calls:
        rows.setdefault((each.extra_info.shape, each.extra_info.method), {})[each.extra_info.kind] = each
    body = []
    for (shape, method), timed in sorted(rows.items(), key=lambda row: (-row[0][0][1] * row[0][0][2], row[0][1])):
        body.append([code(method), _size(shape), *(_timed(timed.get(kind)) for kind in CALLS)])
    headers = ["method", "image", "training step, ms", "prediction of a batch, ms", "evaluation, images/s"]
    return markdown_table(headers, body, text_columns=2)


def _differing(session: Microbenchmarks, cells: Sequence[CellResult]) -> list[str]:
    """What the session and the cells did not share, each as `what A here, B in the cells`."""
    machine = session.machine_info
    here = _conditions(machine.environment, "cpu", machine.threads, session.commit)
    there = [_conditions(c.environment, c.config.device, c.config.threads, c.environment.commit) for c in cells]
    theirs = {what: sorted({each[what] for each in there}) for what in here}
    return [
        f"{what} {code(value)} here, {codes(theirs[what])} in the cells"
        for what, value in here.items()
        if theirs[what] != [value]
    ]


def _conditions(environment: Environment, device: str, threads: int, commit: str | None) -> dict[str, str]:
    machine = {field: str(getattr(environment, field)) for field in MACHINE}
    run = {"device": device, "threads": str(threads), "PyTorch": environment.torch, "commit": commit or "unknown"}
    return machine | run


def _timed(benchmark: Benchmark | None) -> str:
    """Milliseconds or, for an evaluation, images a second: the quartiles of a rate are those of the time, inverted."""
    if benchmark is None:
        return MISSING
    stats, measured = benchmark.stats, benchmark.extra_info
    if measured.kind == "evaluate":
        median, iqr = measured.images / stats.median, measured.images / stats.q1 - measured.images / stats.q3
    else:
        median, iqr = 1e3 * stats.median, 1e3 * (stats.q3 - stats.q1)
    return f"{number(median)} ({number(iqr, 2)})"


def _size(shape: tuple[int, int, int]) -> str:
    return " × ".join(map(str, shape))
