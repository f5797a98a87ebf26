"""The section on microbenchmarks: what one call of each method takes apart from any run, where a run has been given it.

In brackets behind every median is the interquartile range (IQR) over the timed rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reports.formats.markdown import MISSING, code, codes, listed, markdown_table, number, plural
from reports.sections.plain_trainer import against_a_plain_trainer
from reports.view import RunView, moment
from results.microbenchmarks import Benchmark, Kind, Microbenchmarks
from results.schema import CellResult

_MACHINE = ("cpu", "cores", "platform")
"""Fields of `Environment` by which two machines are told apart."""
_CALLS: tuple[Kind, ...] = ("step", "predict", "evaluate")
"""The columns of the table of methods."""


def section(view: RunView) -> Iterator[str]:
    """The table, what it was made on, and where that is not what the run's cells ran on; nothing without a session."""
    session = view.microbenchmarks
    if session is None:
        return
    yield "## Microbenchmarks"
    if differing := _differing(session, list(view.cells)):
        yield (
            f"**These are not the conditions of this run's cells**: {'; '.join(differing)}. The figures of this "
            "section and the times of the cells are not to be held against one another."
        )
    if table := _calls(session):
        yield table
        yield from _explained(session)
    yield from _loop(session)
    yield from _made_on(session)
    yield from against_a_plain_trainer(session)


def _calls(session: Microbenchmarks) -> str | None:
    """One row a shape of image and method, the largest images first; None where no method's calls were timed."""
    rows: dict[tuple[tuple[int, int, int], str], dict[Kind, Benchmark]] = {}
    for benchmark in session.benchmarks:
        measured = benchmark.extra_info
        if measured.kind in _CALLS:
            rows.setdefault((measured.shape, measured.method), {})[measured.kind] = benchmark
    if not rows:
        return None
    body = [
        [
            code(method),
            _size(shape),
            _milliseconds(timed.get("step")),
            _milliseconds(timed.get("predict")),
            _rate(timed.get("evaluate")),
        ]
        for (shape, method), timed in sorted(rows.items(), key=lambda row: (-row[0][0][1] * row[0][0][2], row[0][1]))
    ]
    headers = ["method", "image", "training step, ms", "prediction of a batch, ms", "evaluation, images/s"]
    return markdown_table(headers, body, text_columns=2)


def _explained(session: Microbenchmarks) -> Iterator[str]:
    calls = [benchmark for benchmark in session.benchmarks if benchmark.extra_info.kind in _CALLS]
    batches = _several(benchmark.extra_info.batch_size for benchmark in calls)
    rounds = _several(benchmark.stats.rounds for benchmark in calls)
    evaluated = [benchmark.extra_info for benchmark in calls if benchmark.extra_info.kind == "evaluate"]
    parts = f" of {_several(each.images for each in evaluated)} images" if evaluated else ""
    yield (
        "Every method at its default options, not as this run may have set them, on images of random numbers "
        f"(channels × height × width) in batches of {batches}: the median over {rounds} rounds, and in brackets the "
        "interquartile range (IQR) over them. *Training step* and *prediction* are the method's own calls on a batch "
        f"that is ready; *evaluation* is that of a part{parts} by the harness, which cuts and normalises batches and "
        "counts right answers. All rounds are of one process: nothing here says how processes differ."
    )


def _loop(session: Microbenchmarks) -> Iterator[str]:
    """What the harness adds to the training steps."""
    found = [
        f"{number(ratio.median, decimals=3)} times as long (IQR {number(ratio.iqr, decimals=3)}) with "
        f"{code(measured.method)} on {_size(measured.shape)} ({plural(ratio.epochs, 'epoch')} of "
        f"{plural(ratio.steps, 'step')})"
        for benchmark in session.benchmarks
        if (measured := benchmark.extra_info).kind == "loop" and (ratio := measured.loop) is not None
    ]
    if found:
        yield (
            "What the harness adds: an epoch by its training loop, which cuts and normalises batches and reports "
            f"progress, took {listed(found)} as the same number of bare steps on batches that are ready, just before "
            "and after it (median over epochs). The training times of cells hold this share too; the longer a "
            "method's own step, the smaller it is."
        )


def _made_on(session: Microbenchmarks) -> Iterator[str]:
    machine, environment = session.machine_info, session.machine_info.environment
    yield (
        f"Timed on {environment.cpu} ({plural(environment.cores, 'core')}, {environment.platform}) with "
        f"{plural(machine.threads, 'thread')}, PyTorch {environment.torch}, at commit "
        f"{code(session.commit or 'unknown')}, on {moment(session.datetime)}."
    )
    if session.commit is None or session.commit.endswith("-dirty"):
        yield "The code was not an unchanged commit, so the commit does not identify it fully."


def _differing(session: Microbenchmarks, cells: list[CellResult]) -> list[str]:
    """What the session and the cells did not share, each as `what A here, B in the cells`."""
    machine, environment = session.machine_info, session.machine_info.environment
    there = [cell.environment for cell in cells]
    found = [
        (field, {str(getattr(environment, field))}, {str(getattr(each, field)) for each in there}) for field in _MACHINE
    ]
    found += [
        ("device", {"cpu"}, {cell.config.device for cell in cells}),
        ("threads", {str(machine.threads)}, {str(cell.config.threads) for cell in cells}),
        ("PyTorch", {environment.torch}, {each.torch for each in there}),
        ("commit", {session.commit or "unknown"}, {each.commit or "unknown" for each in there}),
    ]
    return [
        f"{what} {codes(sorted(here))} here, {codes(sorted(theirs))} in the cells"
        for what, here, theirs in found
        if here != theirs
    ]


def _milliseconds(benchmark: Benchmark | None) -> str:
    if benchmark is None:
        return MISSING
    stats = benchmark.stats
    return _with_spread(1e3 * stats.median, 1e3 * (stats.q3 - stats.q1))


def _rate(benchmark: Benchmark | None) -> str:
    """Images a second: the quartiles of a rate are those of the time, turned round."""
    if benchmark is None:
        return MISSING
    stats, images = benchmark.stats, benchmark.extra_info.images
    return _with_spread(images / stats.median, images / stats.q1 - images / stats.q3)


def _with_spread(median: float, iqr: float) -> str:
    return f"{number(median)} ({number(iqr, 2)})"


def _size(shape: tuple[int, int, int]) -> str:
    return " × ".join(map(str, shape))


def _several(values: Iterable[int]) -> str:
    """`8`, or `5 to 50`."""
    found = set(values)
    low, high = min(found), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
