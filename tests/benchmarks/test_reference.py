"""How fast the project's own code is: against a plain trainer that does the same, and against what the machine can do.

Calls take turns with what they are held against. Times of epochs are without the look at the blocks (`diagnose`), which
cells take outside both of their clocks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.meters.flops import FlopMeter
from bench.training.loop import accuracy, evaluate, train_epoch
from bench.training.rng import Stream, seed_of
from methods.noprop_dt import NoPropDT
from results.microbenchmarks import BoundRatio, ReferenceRatio
from tests.benchmarks.conftest import SHAPES, SMALL_BATCH
from tests.benchmarks.reference_loop import MODELS, ReferenceEpoch, make_loop
from tests.benchmarks.rounds import paired_ratio, time_call, write_down
from tests.benchmarks.workload import BATCH_SIZE, CLASSES, CPU, SEED, Sizes, Subject, make_subject

SECONDS = 20.0
"""For the epochs; those of the plain trainer take longer. Of pairs there are five at least."""
MATRIX, SMALL_MATRIX = 2048, 64
PRECISIONS = pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
"""Of our calls; what they are held against always computes in float32."""


@pytest.fixture
def subject(name: str, amp: bool, threads: int, benchmark: BenchmarkFixture) -> Subject:
    """The method, with data whose parts are in MNIST's proportions."""
    batch_size = BATCH_SIZE if benchmark.enabled else SMALL_BATCH
    shape = SHAPES["28x28" if benchmark.enabled else "8x8"]
    return make_subject(name, shape, batch_size, threads, Sizes.as_mnist(batch_size), amp=amp)


@pytest.mark.benchmark(group="epoch against a plain trainer's")
@pytest.mark.parametrize("name", MODELS)
@PRECISIONS
def test_epoch(benchmark: BenchmarkFixture, subject: Subject, commit: str | None) -> None:
    """Training and the evaluation after it: validation and test part here, there the training part too."""
    method, data, order, batch_size = subject.method, subject.data, subject.order(), subject.config.batch_size
    noise = seed_of(SEED, Stream.EVALUATION)
    plain = make_loop(subject)
    training: list[float] = []
    reference: list[ReferenceEpoch] = []

    def epoch() -> list[float]:
        trained = train_epoch(method, data, batch_size, order, lambda *told: None)
        training.append(trained.seconds)
        return [accuracy(evaluate(method, data, part, batch_size, noise)) for part in (data.val, data.test)]

    def epoch_of_reference() -> None:
        reference.append(plain.epoch())

    if benchmark.enabled:
        plain.epoch()  # its workers start here
    accuracies = time_call(benchmark, epoch, before=epoch_of_reference, seconds=SECONDS)
    assert len(accuracies) == len(reference[-1].accuracies) - 1 == 2
    assert reference[-1].images == len(data.train)
    if benchmark.enabled:
        epoch_of_reference()
        whole = benchmark.stats.stats.data
        ratio = ReferenceRatio(
            epoch=paired_ratio(whole, [each.seconds for each in reference]),
            training=paired_ratio(training[-len(whole) :], [each.training_seconds for each in reference]),
            steps=len(data.train) // batch_size,
            evaluated=len(data.val) + len(data.test),
            reference_evaluated=reference[-1].evaluated,
        )
        write_down(benchmark, "epoch", subject, len(data.train), commit, reference=ratio)


@pytest.mark.benchmark(group="block against a matrix product")
@pytest.mark.parametrize("name", ["noprop"])
@PRECISIONS
def test_block(benchmark: BenchmarkFixture, subject: Subject, commit: str | None) -> None:
    """Forward and backward pass of one block, without the update."""
    method = subject.method
    assert isinstance(method, NoPropDT)
    x, y = subject.batch()
    method.train()
    size = MATRIX if benchmark.enabled else SMALL_MATRIX
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(SEED))
    product = torch.empty_like(matrix)
    products: list[float] = []

    def multiply() -> None:
        method.zero_grad()
        start = time.perf_counter()
        torch.mm(matrix, matrix, out=product)
        products.append(time.perf_counter() - start)

    def step() -> Tensor:
        u = method.net.embedding(y)
        with torch.autocast(CPU, dtype=torch.bfloat16, enabled=subject.config.amp):  # forward alone, as in training
            estimate = method.net.estimate(1, x, method.schedule.sample(0, u))
        (estimate - u).square().sum(dim=1).mean().backward()
        return estimate

    step_flops, product_flops = flops(step), flops(multiply)
    products.clear()
    estimate = time_call(benchmark, step, before=multiply)
    multiply()
    assert estimate.shape == (len(y), CLASSES)
    assert product_flops == 2 * size**3
    assert step_flops > 0
    if benchmark.enabled:
        ratio = BoundRatio(
            step=paired_ratio(benchmark.stats.stats.data, products, product_flops / step_flops),
            flops=step_flops,
            flops_per_second=product_flops / statistics.median(products),
            size=size,
        )
        write_down(benchmark, "block", subject, len(y), commit, bound=ratio)


def flops(call: Callable[[], Any]) -> int:
    """Floating-point operations of a call's convolutions and matrix products."""
    with FlopMeter() as meter:
        call()
    return meter.flops
