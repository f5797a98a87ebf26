"""How often a call is timed, and what is written down of it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from results.microbenchmarks import Kind, LoopRatio, Measurement
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
    loop: LoopRatio | None = None,
) -> None:
    """Put into the benchmark's `extra_info` what was timed and where; nothing where timing is disabled.

    Args:
        benchmark: has timed its call.
        kind: what the call does.
        subject: what it does it with.
        images: how many of them one call handles.
        commit: the project's.
        loop: with the kind `loop`.
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
        torch=torch.__version__,
        commit=commit,
        loop=loop,
    )
    benchmark.extra_info.update(measured.model_dump(mode="json"))


def loop_ratio(epochs: Sequence[float], bare: Sequence[float], steps: int) -> LoopRatio:
    """Seconds of epochs against those of the bare steps around them.

    Args:
        epochs: (N,), in order.
        bare: (N + 1,): bare[i] just before epochs[i], the last after all.
        steps: training steps an epoch.
    """
    ratios = [epoch / statistics.mean(around) for epoch, *around in zip(epochs, bare[:-1], bare[1:], strict=True)]
    q1, median, q3 = statistics.quantiles(ratios, n=4, method="inclusive")
    return LoopRatio(median=median, iqr=q3 - q1, epochs=len(epochs), steps=steps)
