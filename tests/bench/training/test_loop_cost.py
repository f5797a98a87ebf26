"""What the training loop itself costs: next to nothing beside a training step, so that times are the methods' own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from bench.training.loop import train_epoch
from tests.bench.stubs import Recorder, recorder
from tests.benchmarks.workload import BATCH_SIZE, EPOCH_STEPS, QUICKEST, make_subject

SHARE = 0.01
LOSS = torch.ones(())


class Idle(Recorder):
    """Trains nothing."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        return LOSS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for one another would count as work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def least_cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """CPU time of this process, the least of several: other load delays a call, but adds little to it."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def test_the_loop_costs_under_a_hundredth_of_the_quickest_method_s_step() -> None:
    """Cutting a batch of 128 images of 28 × 28, normalising it, summing the loss and looking at the clock."""
    subject = make_subject(QUICKEST, (1, 28, 28), BATCH_SIZE, threads=1)
    idle, order = recorder(Idle), subject.order()
    epoch = least_cpu_seconds(lambda: train_epoch(idle, subject.data, BATCH_SIZE, order, lambda *told: None), 10)
    x, y = subject.batch()
    subject.method.train()
    step = least_cpu_seconds(lambda: subject.method.train_step(x, y), 3)
    assert 0 < epoch / EPOCH_STEPS < SHARE * step
