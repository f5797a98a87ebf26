"""What the harness adds to a method's own training steps: the loop with its reports against the bare steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TextIO

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.children.protocol import StepEvent
from bench.training.loop import TrainedEpoch, train_epoch
from tests.benchmarks.rounds import loop_ratio, time_call, write_down
from tests.benchmarks.workload import EPOCH_STEPS, QUICKEST, Subject

SECONDS = 8.0
"""For the epochs; the bare steps take as long again. Enough that the median is good to a fraction of a percent."""


@pytest.fixture
def pipe() -> Iterator[TextIO]:
    """Where reports of progress go instead of to the harness."""
    with open(os.devnull, "w", encoding="utf-8") as file:  # noqa: PTH123
        yield file


@pytest.mark.benchmark(group="epoch by the training loop")
@pytest.mark.parametrize("name", [QUICKEST])
def test_training_loop(benchmark: BenchmarkFixture, subject: Subject, commit: str | None, pipe: TextIO) -> None:
    method, data, order, prepared = subject.method, subject.data, subject.order(), subject.epoch()
    bare: list[float] = []

    def steps_alone() -> None:
        method.train()
        start = time.perf_counter()
        for x, y in prepared:
            method.train_step(x, y)
        bare.append(time.perf_counter() - start)

    def report(images: int, loss: float, rate: float) -> None:
        event = StepEvent(epoch=1, images=images, images_total=len(data.train), loss=loss, images_per_second=rate)
        pipe.write(event.model_dump_json() + "\n")
        pipe.flush()

    def epoch() -> TrainedEpoch:
        return train_epoch(method, data, subject.config.batch_size, order, report)

    trained = time_call(benchmark, epoch, before=steps_alone, seconds=SECONDS)
    steps_alone()
    assert trained.images == len(data.train) == EPOCH_STEPS * subject.config.batch_size
    if benchmark.enabled:
        ratio = loop_ratio(benchmark.stats.stats.data, bare, EPOCH_STEPS)
        write_down(benchmark, "loop", subject, trained.images, commit, loop=ratio)
