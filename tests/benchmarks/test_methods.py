"""Every registered method: one training step, predicting one batch, and evaluating a part of the data."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import methods
from bench.training.loop import evaluate
from bench.training.rng import Stream, seed_of
from tests.benchmarks.rounds import time_call, write_down
from tests.benchmarks.workload import CLASSES, SEED, Subject

pytestmark = pytest.mark.parametrize("name", methods.available())


@pytest.mark.benchmark(group="training step")
def test_training_step(benchmark: BenchmarkFixture, subject: Subject, commit: str | None) -> None:
    x, y = subject.batch()
    subject.method.train()
    loss = time_call(benchmark, lambda: subject.method.train_step(x, y))
    write_down(benchmark, "step", subject, len(y), commit)
    assert bool(loss.isfinite())


@pytest.mark.benchmark(group="prediction of a batch")
def test_prediction(benchmark: BenchmarkFixture, subject: Subject, commit: str | None) -> None:
    x, _ = subject.batch()
    noise = subject.noise()
    subject.method.eval()
    with torch.no_grad():
        logits = time_call(benchmark, lambda: subject.method.predict(x, noise))
    write_down(benchmark, "predict", subject, len(x), commit)
    assert logits.shape == (len(x), CLASSES)


@pytest.mark.benchmark(group="evaluation")
def test_evaluation(benchmark: BenchmarkFixture, subject: Subject, commit: str | None) -> None:
    data, batch_size, seed = subject.data, subject.config.batch_size, seed_of(SEED, Stream.EVALUATION)
    right = time_call(benchmark, lambda: evaluate(subject.method, data, data.test, batch_size, seed))
    write_down(benchmark, "evaluate", subject, len(data.test), commit)
    assert right.shape == (len(data.test),)
