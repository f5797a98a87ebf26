"""Several parts at a time: the numbers of in turn at one thread, to the bit, and nothing shared on the way."""

from __future__ import annotations

import copy
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.optim import AdamW

import methods
from bench.meters.activations import ActivationMeter
from bench.training.build import use_mixed_precision
from methods.networks.concurrent import PartTrainer, execution_on, parts_at_once
from methods.networks.rng import Streams, current
from tests.methods.helpers import batch, build, plain_sgd, same, snapshot

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def built(name: str, threads: int, execution: str, **options: object) -> Any:
    """Set up with so many threads."""
    torch.set_num_threads(threads)
    return build(name, T=5, execution=execution, make_optimizer=fused, **options)


def fused(parameters: Any) -> AdamW:
    return AdamW(parameters, lr=1e-2, weight_decay=0.1, fused=True)


def state_of(method: Any) -> list[Tensor]:
    """Parameters, running statistics and what the optimisers keep."""
    kept = [value for o in method.optimizers() for state in o.state.values() for value in state.values()]
    return [value.clone() for value in (*method.state_dict().values(), *kept)]


@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["noprop", "backprop-ensemble"])
def test_the_numbers_are_those_of_one_thread_in_turn(name: str, amp: bool) -> None:
    """Losses, parameters, statistics, optimisers; and PyTorch's generator, which the first step alone draws from."""
    found = []
    for threads, execution in ((1, "in_turn"), (2, "concurrent"), (3, "concurrent")):
        method = built(name, threads, execution)
        assert method.execution == execution
        if amp:
            use_mixed_precision(method, CPU)
        method.train()
        torch.manual_seed(3)
        losses = [method.train_step(*batch(16, seed=step)) for step in range(3)]
        assert torch.get_num_threads() == threads
        after = torch.get_rng_state()
        torch.manual_seed(3)
        torch.randint(2**31, ())
        assert torch.equal(after, torch.get_rng_state())
        found.append([*losses, *state_of(method)])
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))


def test_each_thread_draws_from_a_generator_of_its_own() -> None:
    streams = Streams(own=True)
    streams.next_step()
    before = torch.get_rng_state()
    both_inside = threading.Barrier(2)
    drawn: dict[int, Tensor] = {}

    def draw(part: int) -> None:
        with streams.enter(part):
            both_inside.wait(10)
            drawn[part] = torch.randn(4, generator=current())
            both_inside.wait(10)

    threads = [threading.Thread(target=draw, args=(part,)) for part in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(before, torch.get_rng_state())
    assert current() is None
    assert not torch.equal(drawn[1], drawn[2])
    for part in (1, 2):
        with streams.enter(part):
            assert torch.equal(torch.randn(4, generator=current()), drawn[part])


def begun_streams() -> Streams:
    streams = Streams(own=True)
    streams.next_step()
    return streams


def test_both_kinds_of_streams_draw_the_same() -> None:
    drawn = []
    for own in (False, True):
        torch.manual_seed(4)
        streams = Streams(own=own)
        streams.next_step()
        with streams.enter(3):
            drawn.append(torch.randn(4, generator=current()))
    assert torch.equal(*drawn)


def test_ctrl_c_ends_a_step_at_once() -> None:
    weights = {part: torch.nn.Parameter(torch.ones(3)) for part in range(1, 11)}
    over, both, begun = threading.Event(), threading.Barrier(2), set[int]()

    def loss(part: int) -> Tensor:
        begun.add(part)
        if both.wait(10) == 0 and not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)
        over.wait(60)
        return weights[part].sum()

    start = time.monotonic()
    trainer = PartTrainer(2, 2)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(range(1, 9), begun_streams(), loss, lambda part: plain_sgd([weights[part]]))
    assert time.monotonic() - start < 30
    over.set()
    # By the same threads, when they are done.
    trainer.train([9, 10], begun_streams(), loss, lambda part: plain_sgd([weights[part]]))
    assert begun == {1, 2, 9, 10}


class OutOfOrderError(Exception):
    """What a block raises."""


@pytest.mark.parametrize("name", ["noprop", "backprop-ensemble"])
def test_a_part_s_failure_is_raised_as_it_is_and_ends_the_step(name: str) -> None:
    method = built(name, 2, "concurrent")
    parts = list(method.stack())
    started: list[int] = []

    def fail(*_: object) -> None:
        raise OutOfOrderError("block 1")

    parts[0].register_forward_pre_hook(fail)
    for number, part in enumerate(parts[2:], start=3):
        part.register_forward_pre_hook(lambda *_, number=number: started.append(number))
    with pytest.raises(OutOfOrderError, match="block 1"):
        method.train_step(*batch(16))
    assert len(started) < 3  # the other thread ends what it has in hand


def test_parts_meet_several_at_a_time_each_with_its_share_of_the_threads() -> None:
    torch.set_num_threads(4)
    together = threading.Barrier(2)
    seen: list[tuple[int, bool, torch.dtype]] = []
    weights = {part: torch.nn.Parameter(torch.ones(3)) for part in (1, 2, 3, 4)}
    optimizers = {part: plain_sgd([weight]) for part, weight in weights.items()}

    def loss(part: int) -> Tensor:
        together.wait(10)  # breaks unless two are there
        seen.append((torch.get_num_threads(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return weights[part].sum() * part

    trainer = PartTrainer(2, 4)
    with torch.autocast("cpu", dtype=torch.float16):
        losses = trainer.train([1, 2, 3, 4], begun_streams(), loss, optimizers.__getitem__)
    assert [float(each) for each in losses] == [3.0, 6.0, 9.0, 12.0]
    assert seen == [(2, True, torch.float16)] * 4
    assert torch.get_num_threads() == 4
    with torch.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
        PartTrainer(2, 2).train([1, 2], begun_streams(), loss, optimizers.__getitem__)


def test_threads_end_with_the_method_and_a_copy_has_its_own() -> None:
    before = set(threading.enumerate())  # of failures that are still told
    method = built("noprop", 2, "concurrent")
    method.train_step(*batch(8))
    twin = copy.deepcopy(method._trainer)
    assert (twin.at_once, twin._pool) == (2, None)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    del method
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    ("parts", "threads", "at_once"), [(10, 1, 1), (10, 2, 2), (10, 4, 4), (10, 8, 5), (5, 16, 5), (1, 4, 1)]
)
def test_as_few_at_a_time_as_take_no_longer(parts: int, threads: int, at_once: int) -> None:
    assert parts_at_once(parts, threads) == at_once


def test_auto_is_concurrent_where_that_is_possible() -> None:
    def chosen(threads: int, **options: object) -> str:
        torch.set_num_threads(threads)
        return str(build("noprop", **options).execution)

    assert chosen(1) == chosen(2, T=1) == chosen(2, execution="in_turn") == "in_turn"
    assert chosen(2, embedding="learned") == chosen(2, classifier_input="output") == "in_turn"
    assert chosen(2) == "concurrent"
    assert build("backprop-ensemble").execution == "concurrent"
    share = build("noprop", T=3)
    share.divide(3, 0)
    assert share.execution == "in_turn"
    cuda = torch.device("cuda", 0)
    assert execution_on(cuda, 10) == "in_turn"
    with pytest.raises(methods.MethodError, match="on a GPU"):
        execution_on(cuda, 10, "concurrent")
    for options in ({"embedding": "learned"}, {"classifier_input": "output"}):
        with pytest.raises(methods.MethodError, match="execution=concurrent trains blocks apart"):
            build("noprop", execution="concurrent", **options)


@pytest.mark.parametrize("name", ["noprop", "backprop-ensemble"])
def test_activations_are_those_of_the_parts_at_a_time(name: str) -> None:
    """Exactly, whenever the threads run: the batch, which they share, once."""

    def held(threads: int, execution: str) -> int:
        method = built(name, threads, execution)
        method.train()
        x, y = batch(32)
        with ActivationMeter(method.parameters(), method.buffers(), [x, y]) as meter:
            method.train_step(x, y)
        return meter.peak_bytes

    one = held(2, "in_turn")
    assert held(2, "concurrent") == 2 * one
    assert held(3, "concurrent") == 3 * one


def test_what_is_measured_on_one_thread_is_learned_all_the_same() -> None:
    x, y = batch(16)
    measured, plain = built("noprop", 2, "concurrent"), built("noprop", 2, "concurrent")
    torch.set_num_threads(1)
    for method in (measured, plain):
        torch.manual_seed(2)
        with ActivationMeter() if method is measured else torch.enable_grad():
            method.train_step(x, y)
    assert same(snapshot(plain), measured)
    logits = [method.eval().predict(x, Generator().manual_seed(0)) for method in (measured, plain)]
    assert torch.equal(*logits)
