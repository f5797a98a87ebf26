"""How often a call is timed, and what is written down of it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from results.microbenchmarks import BoundRatio, Kind, LoopRatio, Measurement, Ratio, ReferenceRatio
from tests.benchmarks.workload import Subject

LEAST, MOST = 5, 50
SECONDS = 1.5
"""What a benchmark may take where its calls are quick."""


def rounds_within(seconds: float, call_seconds: float) -> int:
    """Rounds of a call that fit into `seconds`, but enough for quartiles and no more than they need."""
    return min(MOST, max(LEAST, math.floor(seconds / call_seconds)))


def time_call(
    benchmark: BenchmarkFixture,
    call: Callable[[], Any],
    *,
    before: Callable[[], None] | None = None,
    seconds: float = SECONDS,
) -> Any:
    """Time a call over rounds, each after `before`, outside the clock; once and untimed where timing is disabled.

    Two calls come first: one in which libraries set themselves up, and one that says how many rounds there can be.

    Returns:
        What the last call returned.
    """
    rounds = LEAST
    if benchmark.enabled:
        call()
        start = time.perf_counter()
        call()
        rounds = rounds_within(seconds, time.perf_counter() - start)
    return benchmark.pedantic(call, setup=before, rounds=rounds)


def write_down(
    benchmark: BenchmarkFixture,
    kind: Kind,
    subject: Subject,
    images: int,
    commit: str | None,
    **ratio: LoopRatio | ReferenceRatio | BoundRatio,
) -> None:
    """Put into the benchmark's `extra_info` what was timed and where; nothing where timing is disabled.

    Args:
        benchmark: has timed its call.
        kind: what the call does.
        subject: what it does it with.
        images: how many of them one call handles.
        commit: the project's.
        ratio: the one that the kind has, under the name of its field in `Measurement`.
    """
    if benchmark.disabled:
        return
    measured = Measurement(
        kind=kind,
        method=subject.name,
        options=subject.config.options,
        shape=subject.record.shape,
        num_classes=subject.record.num_classes,
        batch_size=subject.config.batch_size,
        images=images,
        images_per_second=images / benchmark.stats["median"],
        threads=torch.get_num_threads(),
        amp=subject.config.amp,
        torch=torch.__version__,
        commit=commit,
        **ratio,
    )
    benchmark.extra_info.update(measured.model_dump(mode="json"))


def paired_ratio(calls: Sequence[float], others: Sequence[float], factor: float = 1.0) -> Ratio:
    """Seconds of calls against those of the other calls around them.

    Args:
        calls: (N,), in order.
        others: (N + 1,): others[i] just before calls[i], the last after all.
        factor: by which each ratio is multiplied.
    """
    around = zip(calls, others[:-1], others[1:], strict=True)
    ratios = [factor * call / statistics.mean(pair) for call, *pair in around]
    q1, median, q3 = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median=median, iqr=q3 - q1, pairs=len(ratios))


def loop_ratio(epochs: Sequence[float], bare: Sequence[float], steps: int) -> LoopRatio:
    """Seconds of epochs against those of the bare steps around them.

    Args:
        epochs: (N,), in order.
        bare: (N + 1,): bare[i] just before epochs[i], the last after all.
        steps: training steps an epoch.
    """
    ratio = paired_ratio(epochs, bare)
    return LoopRatio(median=ratio.median, iqr=ratio.iqr, epochs=ratio.pairs, steps=steps)
